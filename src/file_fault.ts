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
  EFBIG: "it is larger than the disk or `ulimit -f` allows",
  EIO: "the disk reports an error",
  EBUSY: "it is in use or a mount of its own",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
};

/** Completes `The plan cannot be read: …` */
export function describeFileFault(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) return "the program was started without the permission to";
  const code = faultCode(error);
  if (code === null) return "the system refused it";
  return FAULTS[code] ?? `the system refused it (${code})`;
}

/** Codes that Deno does not know by name come as the system's number, at the end of the message and nowhere else. */
const OS_ERROR = /\(os error (\d+)\)/;
const LINUX_CODES: Readonly<Record<string, string>> = { "5": "EIO", "27": "EFBIG", "116": "ESTALE", "122": "EDQUOT" };

/** The operating system's name of an error, like `ENOSPC`; null when it is none of the system's. */
export function faultCode(error: unknown): string | null {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string") return code;
  const number = OS_ERROR.exec(String(message))?.[1];
  return number === undefined ? null : (Deno.build.os === "linux" ? LINUX_CODES[number] : undefined) ?? null;
}

/** There is no room left, on the disk or for this user. */
export function isNoRoom(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(faultCode(error) ?? "");
}
