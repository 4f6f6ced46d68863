#!/usr/bin/env bash
# Makes the certificates of the TLS tests anew: an authority, a server (DNS:localhost only), a client. Valid for a century;
# their keys protect nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
leaf() { # name, subject, extensions
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -out "$1.pem" -extfile <(printf '%b' "$3")
    rm "$1.csr"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 36500 \
    -subj "/CN=Flightdeck test authority" -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"
leaf server "/CN=localhost" "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n"
leaf client "/CN=flightdeck" "subjectAltName=DNS:flightdeck\nextendedKeyUsage=clientAuth\n"
rm -f ca.srl ca.key
