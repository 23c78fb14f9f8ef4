/* The limit: a payment file read in pieces of 1 MiB, reference and amount of every payment taken out, nothing checked.
 *
 *   limit FORMAT FILE     FORMAT: ocr_giro bgmax cremul camt.054 (the last with expat only: -DWITH_EXPAT -lexpat)
 *
 * Prints {"count": n, "total_minor": n, "references": sum modulo 2^61 - 1, "seconds": processor time}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PIECE = 1 << 20 };
typedef unsigned long long number;

static number count, total, references;
static const number modulus = (1ULL << 61) - 1;

static number number_in(const char *text, size_t length) {
  number value = 0;
  for (const char *stop = text + length; text < stop; text++)
    if ('0' <= *text && *text <= '9') value = 10 * value + (number)(*text - '0');
  return value;
}

static void take(number reference, number minor) {
  count += 1;
  total += minor;
  references = (references + reference) % modulus;
}

static void ocr_giro(const char *line, size_t length) {
  if (length >= 74 && !memcmp(line + 6, "30", 2)) take(number_in(line + 49, 25), number_in(line + 32, 17));
}

static void bgmax(const char *line, size_t length) {
  if (length >= 55 && !memcmp(line, "20", 2)) take(number_in(line + 12, 25), number_in(line + 37, 18));
}

static void cremul(const char *segment, size_t length) {
  static number minor;
  if (length > 7 && !memcmp(segment, "MOA+60:", 7)) minor = number_in(segment + 7, length - 7);
  if (length > 8 && !memcmp(segment, "DOC+999+", 8)) take(number_in(segment + 8, length - 8), minor);
}

static void by_ends(FILE *file, char end, void (*one)(const char *, size_t)) {
  char *buffer = malloc(2 * PIECE);
  size_t rest = 0, got;
  while (buffer && (got = fread(buffer + rest, 1, PIECE, file)) > 0) {
    char *from = buffer, *stop = buffer + rest + got, *mark;
    for (; (mark = memchr(from, end, (size_t)(stop - from))); from = mark + 1) one(from, (size_t)(mark - from));
    rest = (size_t)(stop - from);
    if (rest > PIECE) exit(1);
    memmove(buffer, from, rest);
  }
  free(buffer);
}

#ifdef WITH_EXPAT
#include <expat.h>
static char word[64];
static size_t written;
static int depth, wanted;
static number amount;

static void opens(void *data, const char *name, const char **attributes) {
  (void)data, (void)attributes;
  if (!strcmp(name, "TxDtls")) depth = 1;
  wanted = depth && (!strcmp(name, "Amt") || !strcmp(name, "Ref"));
  written = 0;
}

static void says(void *data, const char *text, int length) {
  (void)data;
  if (!wanted || written + (size_t)length > sizeof word) return;
  memcpy(word + written, text, (size_t)length);
  written += (size_t)length;
}

static void closes(void *data, const char *name) {
  (void)data;
  if (wanted && !strcmp(name, "Amt")) amount = number_in(word, written);
  if (wanted && !strcmp(name, "Ref")) take(number_in(word, written), amount);
  if (!strcmp(name, "TxDtls")) depth = 0;
  wanted = 0;
}

static void camt(FILE *file) {
  XML_Parser parser = XML_ParserCreate(NULL);
  XML_SetElementHandler(parser, opens, closes);
  XML_SetCharacterDataHandler(parser, says);
  for (size_t got = PIECE; got == PIECE;) {
    void *buffer = XML_GetBuffer(parser, PIECE);
    if (!buffer) exit(1);
    got = fread(buffer, 1, PIECE, file);
    if (!XML_ParseBuffer(parser, (int)got, got < PIECE)) exit(1);
  }
  XML_ParserFree(parser);
}
#endif

int main(int argc, char **argv) {
  FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
  if (!file) return 2;
  setvbuf(file, NULL, _IONBF, 0);
  if (!strcmp(argv[1], "ocr_giro")) by_ends(file, '\n', ocr_giro);
  else if (!strcmp(argv[1], "bgmax")) by_ends(file, '\n', bgmax);
  else if (!strcmp(argv[1], "cremul")) by_ends(file, '\'', cremul);
#ifdef WITH_EXPAT
  else if (!strcmp(argv[1], "camt.054")) camt(file);
#endif
  else return 3;
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("{\"count\": %llu, \"total_minor\": %llu, \"references\": %llu, \"seconds\": %.6f, \"peak_mib\": %.1f}\n", count,
         total, references, (double)clock() / CLOCKS_PER_SEC, (double)used.ru_maxrss / 1024);
  return 0;
}
