// Certificates for tests, made anew by the openssl program in a directory of their own.
#ifndef GEMINGA_TESTS_LIB_CERTIFICATES_H
#define GEMINGA_TESTS_LIB_CERTIFICATES_H

#include <stdbool.h>

enum { CERTIFICATES_PATH_SIZE = 128 };

// An authority, and a server ("localhost") and a client that it vouches for; and another authority
// that vouches for neither.
struct certificates {
    char directory[CERTIFICATES_PATH_SIZE / 2];
    char ca[CERTIFICATES_PATH_SIZE], other_ca[CERTIFICATES_PATH_SIZE];
    char server_cert[CERTIFICATES_PATH_SIZE], server_key[CERTIFICATES_PATH_SIZE];
    char client_cert[CERTIFICATES_PATH_SIZE], client_key[CERTIFICATES_PATH_SIZE];
};

// False where openssl fails or is missing; what it said is on stderr.
bool certificates_make(struct certificates *certificates);
void certificates_remove(struct certificates *certificates);

#endif
