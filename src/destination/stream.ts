// A store's bytes on their way to a reader, whose errors become ours. Pure but for passing them on.

/** The same bytes; what the store throws in the middle is translated. */
export function translateStream(
  stream: ReadableStream<Uint8Array>,
  toError: (error: unknown) => unknown,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        throw toError(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
