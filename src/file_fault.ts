// What is wrong with a file, in our own words: the operating system's text differs from system to system and repeats paths. Never throws.

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  ENOTDIR: "a file stands where a folder is needed",
  EEXIST: "a file stands where a folder is needed",
  EACCES: "this user may not",
  EPERM: "this user may not",
  EROFS: "the disk is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of the disk is used up",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
};

/** Completes `The plan cannot be read: …` */
export function describeFileFault(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) return "the program was started without the permission to";
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return "the system refused it";
  return FAULTS[code] ?? `the system refused it (${code})`;
}
