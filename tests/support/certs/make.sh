#!/bin/sh
# Makes the test certificates again: two CAs that know nothing of each other and, from the first, a server certificate for `localhost`
# without any address. Test material only: these keys protect nothing.
set -eu
cd "$(dirname "$0")"
days=36500
for ca in ca other_ca; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days $days -subj "/CN=rivet test $ca" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout $ca.key -out $ca.pem
done
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -extfile server.ext -out server.pem
rm -f server.csr server.ext ca.srl ca.key other_ca.key
