// A few things at once, where most of the time is spent waiting for another machine.

/**
 * Maps with at most `atOnce` promises under way; results in the order of the items. The first failure is thrown after those under way
 * have ended: nothing goes on behind the caller's back.
 */
export async function mapSome<T, R>(items: readonly T[], atOnce: number, map: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    while (failures.length === 0 && next < items.length) {
      const i = next++;
      try {
        results[i] = await map(items[i]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  if (failures.length > 0) throw failures[0];
  return results;
}
