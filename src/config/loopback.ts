// Which hosts are this machine.

/** True for `localhost`, 127.0.0.0/8 and ::1, without brackets. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost" || host === "::1") return true;
  const octets = /^127\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1);
  return octets !== undefined && octets.every((octet) => Number(octet) <= 255);
}
