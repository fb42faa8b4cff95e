// The CRC32C of bytes from those of their pieces, as stores get it when an upload is completed. Pure.
// After M. Adler's crc32_combine in zlib: a zero byte behind a piece is a linear map of its sum, and many of them are its powers.

/** Castagnoli, reflected. */
const POLYNOMIAL = 0x82f63b78;

/** The sum of `first` and then `second`, which is `secondBytes` long. Sums are unsigned 32-bit numbers. */
export function joinCrc32c(first: number, second: number, secondBytes: number): number {
  let sum = first;
  // What one zero bit does; squared three times, what a zero byte does.
  let zeros = [POLYNOMIAL, ...Array.from({ length: 31 }, (_, bit) => 2 ** bit)];
  for (let squarings = 0; squarings < 3; squarings++) zeros = square(zeros);
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) sum = times(zeros, sum);
    zeros = square(zeros);
  }
  return (sum ^ second) >>> 0;
}

/** A map of 32 bits as what becomes of each of them. */
function times(map: readonly number[], vector: number): number {
  let sum = 0;
  for (let bit = 0, left = vector; left !== 0; bit++, left >>>= 1) if ((left & 1) === 1) sum ^= map[bit]!;
  return sum >>> 0;
}

function square(map: readonly number[]): number[] {
  return map.map((column) => times(map, column));
}
