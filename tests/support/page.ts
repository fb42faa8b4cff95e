// The fenced blocks of a page of the docs, by heading, so that a test runs what readers are told to type.

export interface Block {
  readonly language: string;
  readonly text: string;
}

/** Blocks below each `##` heading, by its text; those above the first one are under the empty name. */
export function readBlocks(page: string): Map<string, Block[]> {
  const sections = new Map<string, Block[]>();
  let current: Block[] = [];
  sections.set("", current);
  for (const [, heading, language, text] of page.matchAll(/^(?:## (.+)|```(\w*)\n([^]*?)\n```)$/gm)) {
    if (heading === undefined) current.push({ language: language ?? "", text: text ?? "" });
    else sections.set(heading, current = []);
  }
  return sections;
}
