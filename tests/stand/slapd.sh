# A real directory with three people: OpenLDAP's slapd on loopback, plainly and with TLS. Sourced; uses WORK, PIDS, free_port,
# until_true, ca.pem, server.pem and server.key. slapd comes from Debian (install.sh, part ldap).

LDAP=$(free_port)
LDAPS=$(free_port)
DIRECTORY=

slapd_prepare() {
    mkdir -p "$WORK/db"
    cat >slapd.conf <<CONF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $WORK/slapd.pid
TLSCACertificateFile $WORK/ca.pem
TLSCertificateFile $WORK/server.pem
TLSCertificateKeyFile $WORK/server.key
access to attrs=userPassword by anonymous auth by * none
access to * by * read
database mdb
suffix "dc=acme,dc=example"
rootdn "cn=admin,dc=acme,dc=example"
rootpw secret-of-the-stand
directory $WORK/db
CONF
    cat >people.ldif <<LDIF
dn: dc=acme,dc=example
objectClass: dcObject
objectClass: organization
dc: acme
o: Acme

dn: ou=people,dc=acme,dc=example
objectClass: organizationalUnit
ou: people

dn: uid=ann,ou=people,dc=acme,dc=example
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Chen
mail: ann@acme.example
departmentNumber: Treasury
manager: uid=ben,ou=people,dc=acme,dc=example
l: Vienna

dn: uid=ben,ou=people,dc=acme,dc=example
objectClass: inetOrgPerson
uid: ben
cn: Ben
sn: Ode
mail: shared@acme.example

dn: uid=eve,ou=people,dc=acme,dc=example
objectClass: inetOrgPerson
uid: eve
cn: Eve
sn: Ito
mail: shared@acme.example
LDIF
    slapadd -f slapd.conf -l people.ldif >slapadd.log 2>&1 || { cat slapadd.log; return 1; }
}

slapd_start() {
    slapd -h "ldap://127.0.0.1:$LDAP ldaps://127.0.0.1:$LDAPS" -f slapd.conf -d 0 >>slapd.log 2>&1 </dev/null &
    DIRECTORY=$!
    PIDS+=("$DIRECTORY")
    until_true 30 bash -c ": >/dev/tcp/127.0.0.1/$LDAPS" || { echo "slapd does not listen"; tail -n 3 slapd.log; return 1; }
}
