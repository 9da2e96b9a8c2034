// What bytes cost on loopback with nothing above the kernel's sockets: one process writes, one
// reads, MiB by MiB, through the same memory again and again, which caches hold. With "tls", each
// record of 16 KiB is also encrypted and decrypted with AES-256-GCM, as mutual TLS does it.
//
//     wirefloor MiB plain|tls    prints each process's seconds of CPU
#include "cipher_provider.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 16 << 10, TAG = 16, RECORDS = 64 };
enum { MESSAGE = RECORDS * (RECORD + TAG) };

static void check(int good, const char *what) {
  if (good) return;
  perror(what);
  exit(1);
}

static double cpu_seconds(int who) {
  struct rusage used;
  check(getrusage(who, &used) == 0, "getrusage");
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

// Room for a message, touched before anything is measured.
static unsigned char *memory(void) {
  unsigned char *bytes = malloc(MESSAGE);
  check(bytes != NULL, "memory");
  return memset(bytes, 1, MESSAGE);
}

static void crypt_message(EVP_CIPHER_CTX *cipher, unsigned char *to, unsigned char *from, int out) {
  static unsigned long long record;
  for (int i = 0; i < RECORDS; i++) {
    unsigned char nonce[12] = {0};
    int length;
    memcpy(nonce, &record, sizeof record);
    record++;
    unsigned char *plain = (out ? from : to) + i * RECORD;
    unsigned char *sealed = (out ? to : from) + i * (RECORD + TAG);
    check(EVP_CipherInit_ex(cipher, NULL, NULL, NULL, nonce, out) == 1, "nonce");
    if (!out)
      check(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG, sealed + RECORD) == 1, "tag");
    check(EVP_CipherUpdate(cipher, out ? sealed : plain, &length, out ? plain : sealed, RECORD),
          "record");
    check(EVP_CipherFinal_ex(cipher, NULL, &length) == 1, "record's end");
    if (out)
      check(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + RECORD) == 1, "tag");
  }
}

static void move(int descriptor, int out, int messages, EVP_CIPHER_CTX *cipher) {
  unsigned char *plain = memory(), *wire = cipher ? memory() : plain;
  size_t length = cipher ? MESSAGE : RECORDS * RECORD;
  double before = cpu_seconds(RUSAGE_SELF);
  for (int i = 0; i < messages; i++) {
    if (cipher && out) crypt_message(cipher, wire, plain, 1);
    for (size_t done = 0; done < length;) {
      ssize_t count = out ? write(descriptor, wire + done, length - done)
                          : read(descriptor, wire + done, length - done);
      check(count > 0, "socket");
      done += (size_t)count;
    }
    if (cipher && !out) crypt_message(cipher, plain, wire, 0);
  }
  printf("%.6f\n", cpu_seconds(RUSAGE_SELF) - before);
  fflush(stdout);
}

static EVP_CIPHER_CTX *cipher(int out) {
  static const unsigned char key[32] = "a key that keeps nothing secret";
  EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();
  check(made && EVP_CipherInit_ex(made, EVP_aes_256_gcm(), NULL, key, NULL, out), "cipher");
  return made;
}

int main(int count, char **arguments) {
  /* The cipher that servers use. */
  if (cipher_provider_load(NULL) == CIPHER_PROVIDER_LOADED) {
    char properties[64];
    snprintf(properties, sizeof properties, "?provider=%s", cipher_provider_name());
    check(EVP_set_default_properties(NULL, properties) == 1, "properties");
  }
  int messages = count == 3 ? atoi(arguments[1]) : 0, tls;
  check(messages > 0, "usage: wirefloor MiB plain|tls");
  tls = strcmp(arguments[2], "tls") == 0;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  check(listener >= 0 && bind(listener, (void *)&address, size) == 0, "bind");
  check(listen(listener, 1) == 0, "listen");
  check(getsockname(listener, (void *)&address, &size) == 0, "getsockname");
  pid_t child = fork();
  check(child >= 0, "fork");
  int descriptor;
  if (child == 0) {
    descriptor = accept(listener, NULL, NULL);
    check(descriptor >= 0, "accept");
  } else {
    descriptor = socket(AF_INET, SOCK_STREAM, 0);
    check(descriptor >= 0 && connect(descriptor, (void *)&address, size) == 0, "connect");
  }
  move(descriptor, child != 0, messages, tls ? cipher(child != 0) : NULL);
  int status = 0;
  if (child != 0) check(waitpid(child, &status, 0) == child && status == 0, "the reader");
  return 0;
}
