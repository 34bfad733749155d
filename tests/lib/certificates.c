#include "tests/lib/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char script[] =
    "set -e; cd \"$1\"; exec 3>&2 2>log; trap '[ $? = 0 ] || cat log >&3' EXIT\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "authority() { key $1; openssl req -x509 -new -key $1.key -days 2 -subj /CN=$1 -out $1.pem; }\n"
    "vouch() { key $1; openssl req -new -key $1.key -subj /CN=$2 -out $1.csr;\n"
    "  echo \"subjectAltName=DNS:$2\" > $1.ext;\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\\n"
    "    -extfile $1.ext -out $1.pem; }\n"
    "authority ca; authority other; vouch server localhost; vouch client client\n";

static bool shell(const char *text, const char *argument) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execlp("sh", "sh", "-c", text, "sh", argument, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void name(const struct certificates *certificates, const char *file, char *path) {
    snprintf(path, CERTIFICATES_PATH_SIZE, "%s/%s", certificates->directory, file);
}

bool certificates_make(struct certificates *certificates) {
    snprintf(certificates->directory, sizeof(certificates->directory), "/tmp/certificates-XXXXXX");
    if (!mkdtemp(certificates->directory)) return false;
    name(certificates, "ca.pem", certificates->ca);
    name(certificates, "other.pem", certificates->other_ca);
    name(certificates, "server.pem", certificates->server_cert);
    name(certificates, "server.key", certificates->server_key);
    name(certificates, "client.pem", certificates->client_cert);
    name(certificates, "client.key", certificates->client_key);
    return shell(script, certificates->directory);
}

void certificates_remove(struct certificates *certificates) {
    if (!shell("rm -rf \"$1\"", certificates->directory))
        fprintf(stderr, "cannot remove %s\n", certificates->directory);
}
