#!/bin/sh
# Makes the synthetic certificates of this folder anew (openssl 3): sh generate.sh FOLDER. Tests never run it.
set -e
cd "$1"; T=$(mktemp -d)
cat > $T/ca.cnf <<X
[ca]
default_ca=d
[d]
database=$T/index.txt
new_certs_dir=$T
serial=$T/serial
default_md=sha256
policy=p
copy_extensions=none
unique_subject=no
[p]
commonName=supplied
X
: > $T/index.txt; echo 1001 > $T/serial
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $T/ca-key.pem
openssl req -new -key $T/ca-key.pem -subj "/CN=Synthetic test CA" -out $T/ca.csr
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n' > $T/caext
openssl ca -batch -config $T/ca.cnf -selfsign -keyfile $T/ca-key.pem -in $T/ca.csr -startdate 20240101000000Z -enddate 20560101000000Z -extfile $T/caext -notext -out ca.pem
leaf() { # name san start end
 openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1-key.pem
 openssl req -new -key $1-key.pem -subj "/CN=$1.test" -out $T/$1.csr
 printf "basicConstraints=CA:FALSE\nsubjectAltName=$2\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n" > $T/$1.ext
 openssl ca -batch -config $T/ca.cnf -cert ca.pem -keyfile $T/ca-key.pem -in $T/$1.csr -startdate $3 -enddate $4 -extfile $T/$1.ext -notext -out $1.pem
}
leaf localhost "DNS:localhost,IP:127.0.0.1" 20240101000000Z 20551231000000Z
leaf expired "DNS:localhost,IP:127.0.0.1" 20240101000000Z 20240201000000Z
leaf wrong-host "DNS:elsewhere.test" 20240101000000Z 20551231000000Z
rm -r $T
