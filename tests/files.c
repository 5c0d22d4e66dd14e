/* Tests of section 10: safetensors and PNM in, safetensors, PNG and PNM out. Files are hostile, so
   most of these tests are files that must be refused, each for its own reason.
     cc -O2 tests/files.c -o build/files -lm && build/files [a folder to write in: build] */
#include <stdlib.h>

/* Memory that can run out: after `memory_left` more allocations (when >= 0), all fail. */
static long memory_left = -1, memory_blocks;
static void *limited_realloc(void *old, size_t bytes)
{
    void *p;
    if (memory_left == 0) return NULL;
    if (memory_left > 0) memory_left--;
    p = realloc(old, bytes);
    memory_blocks += p && !old;
    return p;
}
static void limited_free(void *p)
{
    memory_blocks -= p != NULL;
    free(p);
}
#define CNNVIS_MALLOC(bytes) limited_realloc(NULL, bytes)
#define CNNVIS_REALLOC(p, bytes) limited_realloc(p, bytes)
#define CNNVIS_FREE(p) limited_free(p)
#define CNNVIS_STATIC
#define CNNVIS_NO_SIMD /* files need no kernels */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"
#include "check.h"

#ifdef __has_include /* after cnnvis.h, which then knows nothing of it */
#if __has_include(<stb/stb_image.h>)
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#endif
#endif

static char folder[200] = "build";

/* folder/name, valid until sixteen calls later */
static const char *in_folder(const char *name)
{
    static char paths[16][256];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%.199s/%.50s", folder, name);
    return path;
}

static int exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

static void write_file(const char *path, const void *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, count, f) == count, "cannot prepare %s", path);
    if (f) fclose(f);
}

/* The file's bytes, to be freed. */
static unsigned char *file_bytes(const char *path, size_t *count)
{
    unsigned char *bytes = (unsigned char *)calloc(1 << 20, 1);
    FILE *f = fopen(path, "rb");
    *count = f ? fread(bytes, 1, 1 << 20, f) : 0;
    if (f) fclose(f);
    return bytes;
}

/* ---- Safetensors: what is accepted ---- */

/* A file image of a header and `data` bytes 0, 1, 2, ..., to be freed: exactly as long as it should
   be, so that an address sanitizer sees every read beyond it. */
static unsigned char *file_image(const char *header, size_t length, size_t data, size_t *count)
{
    unsigned char *image = (unsigned char *)malloc(8 + length + data);
    size_t i;
    for (i = 0; i < 8; i++) image[i] = (unsigned char)((uint64_t)length >> 8 * i & 255);
    memcpy(image + 8, header, length);
    for (i = 0; i < data; i++) image[8 + length + i] = (unsigned char)(i & 255);
    *count = 8 + length + data;
    return image;
}

/* Is the file of this header and `data` bytes accepted? */
static int accepted(const char *header, size_t data)
{
    size_t count;
    unsigned char *image = file_image(header, strlen(header), data, &count);
    cnv_safetensors *file = cnv_safetensors_parse(image, count);
    cnv_safetensors_close(file);
    free(image);
    return file != NULL;
}

static const char *const small_header =
    "{\"__metadata__\":{\"format\":\"pt\",\"b\\u00e4r\":\"\\ud83d\\udc3b\"},"
    "\"conv.weight\":{\"dtype\":\"F32\",\"shape\":[2,1,1,3],\"data_offsets\":[0,24]},"
    "\"n\":{\"data_offsets\":[24,32],\"shape\":[],\"dtype\":\"I64\"},"
    "\"empty\":{\"dtype\":\"U8\",\"shape\":[3,0],\"data_offsets\":[32,32]},"
    "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[32,36]}}   ";
enum { SMALL_DATA = 36 };

static void test_accepted(void)
{
    static const char *const names[4] = {"conv.weight", "n", "empty", "half"};
    static const size_t counts[4] = {24, 8, 0, 4};
    size_t count, offset = 0;
    unsigned char *image = file_image(small_header, strlen(small_header), SMALL_DATA, &count);
    cnv_safetensors *file = cnv_safetensors_parse(image, count);
    const cnv_safetensor *t;
    const char *text;
    int i;
    CHECK(file, "%s", cnv_error());
    if (!file) return;
    CHECK(file->count == 4 && file->metadata_count == 2, "%d, %d", file->count,
          file->metadata_count);
    for (i = 0; i < 4; i++) {
        t = cnv_safetensors_find(file, names[i]);
        CHECK(t == &file->tensors[i], "%s is not at its place", names[i]);
        CHECK(t && t->byte_count == counts[i] && t->bytes == image + count - SMALL_DATA + offset,
              "%s has the wrong bytes", names[i]);
        offset += counts[i];
    }
    t = file->tensors;
    CHECK(t->rank == 4 && t->shape[0] == 2 && t->shape[1] == 1 && t->shape[2] == 1 &&
              t->shape[3] == 3 && !strcmp(t->dtype, "F32") && t[1].rank == 0 &&
              !strcmp(t[1].dtype, "I64") && t[2].rank == 2 && t[2].shape[1] == 0,
          "wrong shapes");
    CHECK(!cnv_safetensors_find(file, "conv") && strstr(cnv_error(), "\"conv\""),
          "found the absent");
    text = cnv_safetensors_metadata(file, "format");
    CHECK(text && !strcmp(text, "pt"), "metadata: %s", text ? text : cnv_error());
    text = cnv_safetensors_metadata(file, "b\xc3\xa4r");
    CHECK(text && !strcmp(text, "\xf0\x9f\x90\xbb"), "metadata: %s", text ? text : cnv_error());
    CHECK(!cnv_safetensors_metadata(file, "absent"), "found absent metadata");
    cnv_safetensors_close(file);
    cnv_safetensors_close(NULL);
    free(image);
    CHECK(accepted("{}", 0), "an empty file: %s", cnv_error());
    CHECK(accepted("{ } \n\t\r", 0), "an empty file with space: %s", cnv_error());
    CHECK(
        accepted("{\"\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1),
        "eight dimensions, no name: %s", cnv_error());
    CHECK(accepted("{ \"a\" : { \"d\\u0074ype\" :\n\"\\u00463\\u0032\", \"shape\":[ 1 , 1 ], "
                   "\"data_offsets\" : [ 0 , 4 ] } , \"__metadata__\" : { } }",
                   4),
          "spaces and escapes: %s", cnv_error());
    CHECK(accepted("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
                   "\"z\":{\"dtype\":\"U8\",\"shape\":[0,9],\"data_offsets\":[3,3]},"
                   "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
                   5),
          "any order: %s", cnv_error());
}

/* All escapes, and characters of one to four bytes. */
static void test_strings(void)
{
    static const char header[] =
        "{\"__metadata__\":{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\":\"\\u0041\\u00e9\\u20AC\\uD834\\uDD1E"
        "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\\u07ff\\u0800\\uffff\\udbff\\udfff\x7f\"}}";
    static const char wanted[] = "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"
                                 "A\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e"
                                 "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\x7f";
    size_t count;
    unsigned char *image = file_image(header, sizeof header - 1, 0, &count);
    cnv_safetensors *file = cnv_safetensors_parse(image, count);
    const char *text = file ? cnv_safetensors_metadata(file, "\"\\/\b\f\n\r\t") : NULL;
    CHECK(text && !strcmp(text, wanted), "%s", text ? text : cnv_error());
    cnv_safetensors_close(file);
    free(image);
}

/* ---- Safetensors: what is refused ---- */

/* The header must be refused with a message that holds `word`. */
static void refuse_bytes(const char *header, size_t length, size_t data, const char *word, int line)
{
    size_t count;
    unsigned char *image = file_image(header, length, data, &count);
    cnv_safetensors *file;
    cnv__fail("no message");
    file = cnv_safetensors_parse(image, count);
    CHECK(!file, "line %d: accepted %.100s", line, header);
    CHECK(file || strstr(cnv_error(), word), "line %d: \"%s\" does not say \"%s\"", line,
          cnv_error(), word);
    cnv_safetensors_close(file);
    free(image);
}
#define REFUSE(header, data, word) refuse_bytes(header, strlen(header), data, word, __LINE__)
#define U8(name, shape, offsets)                                                                   \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_refused_json(void)
{
    REFUSE("", 0, "'{'");
    REFUSE(" {}", 0, "'{'");
    REFUSE("[]", 0, "'{'");
    REFUSE("{", 0, "expected '\"' at byte 1");
    REFUSE("{}x", 0, "after the closing brace");
    REFUSE("{},", 0, "after the closing brace");
    REFUSE("{\"a\"}", 0, "expected ':' at byte 4");
    REFUSE("{\"a", 0, "expected '\"'");
    REFUSE("{a:1}", 0, "expected '\"'");
    REFUSE("{\"a\":1}", 0, "\"a\": expected '{'");
    REFUSE("{" U8("a", "[1]", "[0,1]") ",}", 1, "expected '\"'");
    REFUSE("{" U8("a", "[1]", "[0,1]"), 1, "expected '}'");
    REFUSE("{" U8("a", "[1]", "[0,1]") " " U8("b", "[0]", "[1,1]") "}", 1, "expected '}'");
    REFUSE("{" U8("a", "[1,]", "[0,1]") "}", 1, "\"a\": expected a number");
    REFUSE("{" U8("a", "[1", "[0,1]") "}", 1, "\"a\": expected a number");
    REFUSE("{\"a\":{\"shape\":[1", 0, "\"a\": expected ']'");
    REFUSE("{" U8("a", "1", "[0,1]") "}", 1, "\"a\": expected '['");
    REFUSE("{" U8("a", "[01]", "[0,1]") "}", 1, "\"a\": expected ']'");
    REFUSE("{" U8("a", "[1.0]", "[0,1]") "}", 1, "\"a\": expected ']'");
    REFUSE("{" U8("a", "[1e0]", "[0,1]") "}", 1, "\"a\": expected ']'");
    REFUSE("{" U8("a", "[-1]", "[0,1]") "}", 1, "\"a\": expected a number");
    REFUSE("{" U8("a", "[\"1\"]", "[0,1]") "}", 1, "\"a\": expected a number");
    REFUSE("{" U8("a", "[[1]]", "[0,1]") "}", 1, "\"a\": expected a number");
    REFUSE("{" U8("a", "[18446744073709551616,0]", "[0,0]") "}", 0, "\"a\": a number beyond");
    REFUSE("{" U8("a\\", "[1]", "[0,1]") "}", 1, "expected ':'");
    REFUSE("{\"a\\x\":1}", 0, "an escape that does not exist at byte 3");
    REFUSE("{\"a\\u12g4\":1}", 0, "an escape that does not exist");
    REFUSE("{\"a\\u123", 0, "an escape that does not exist");
    REFUSE("{\"a\\", 0, "an escape that does not exist");
    REFUSE("{\"a\\u0000\":1}", 0, "an escape that does not exist");
    REFUSE("{\"\\ud800\":1}", 0, "half a surrogate pair");
    REFUSE("{\"\\udc00\":1}", 0, "half a surrogate pair");
    REFUSE("{\"\\ud800\\ud800\":1}", 0, "half a surrogate pair");
    REFUSE("{\"\\ud800x\":1}", 0, "half a surrogate pair");
    REFUSE("{\"a\n\":1}", 0, "a control character at byte 3");
    refuse_bytes("{\"a\0\":1}", 8, 0, "a control character", __LINE__);
    refuse_bytes("{}\0", 3, 0, "after the closing brace", __LINE__);
}

static void test_refused_utf8(void)
{
    static const char *const wrong[] = {"\x80",
                                        "\xc3",
                                        "\xc3(",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe2\x82",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xe2(\xa1",
                                        "\xf0\x9f\x90",
                                        "\xff",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf8\x88\x80\x80\x80"};
    size_t i;
    char header[64];
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(header, sizeof header, "{\"a%s\":1}", wrong[i]);
        REFUSE(header, 0, "invalid UTF-8 at byte 3");
        snprintf(header, sizeof header, "{\"a%s", wrong[i]);
        REFUSE(header, 0, "invalid UTF-8 at byte 3");
    }
    REFUSE("{\xc3\xa4}", 0, "expected '\"'");
}

static void test_refused_entries(void)
{
    REFUSE("{\"a\":{}}", 0, "\"a\": dtype, shape or data_offsets is missing");
    REFUSE("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "\"a\": dtype, shape or data_offsets is");
    REFUSE("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "\"a\": dtype, shape or");
    REFUSE("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"a\": dtype, shape or");
    REFUSE("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "\"a\": a field for the second time");
    REFUSE("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "\"a\": a field for the second time");
    REFUSE("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
           "\"a\": an unknown field");
    REFUSE("{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"a\": expected '\"'");
    REFUSE("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "\"a\": unknown dtype \"F33\"");
    REFUSE("{\"a\":{\"dtype\":\"u8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"u8\"");
    REFUSE("{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "unknown dtype \"\"");
    REFUSE("{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1, "\"F4\"");
    REFUSE("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3,
           "\"F6_E2M3\"");
    REFUSE("{\"a\":{\"dtype\":\"A type with a long name\",\"shape\":[4],\"data_offsets\":[0,3]}}",
           3, "\"A type with a long name\"");
    REFUSE("{" U8("a", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, "\"a\": a ninth dimension");
    REFUSE("{" U8("a", "[1]", "[0]") "}", 1, "\"a\": data_offsets without");
    REFUSE("{" U8("a", "[1]", "[]") "}", 1, "\"a\": data_offsets without");
    REFUSE("{" U8("a", "[1]", "[0,1,1]") "}", 1, "\"a\": a third offset");
    REFUSE("{" U8("a", "[1]", "[1,0]") "}", 1, "\"a\": data_offsets [1,0]");
    REFUSE("{" U8("a", "[2]", "[0,2]") "}", 1,
           "\"a\": data_offsets [0,2], but 1 bytes of data: the file seems cut off");
    REFUSE("{" U8("a", "[1]", "[18446744073709551615,0]") "}", 1, "\"a\": data_offsets [18446744");
    REFUSE("{" U8("a", "[3]", "[0,2]") "}", 2,
           "\"a\": U8 of 3 takes 3 bytes, but its data_offsets hold 2");
    REFUSE("{" U8("a", "[]", "[0,2]") "}", 2, "\"a\": U8 of a single number takes 1 bytes");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,6]}}", 6,
           "\"a\": F32 of 2x3 takes 24 bytes, but its data_offsets hold 6");
    REFUSE("{" U8("a", "[4294967296,4294967296]", "[0,0]") "}", 0,
           "\"a\": U8 of 4294967296x4294967296");
    REFUSE("{" U8("a", "[9223372036854775808,4,0]", "[0,0]") "}", 0, "more than memory");
    REFUSE("{\"a\":{\"dtype\":\"I64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
           "more than memory");
    CHECK(accepted("{" U8("a", "[0,4294967296,4294967296]", "[0,0]") "}", 0), "%s", cnv_error());
}

static void test_refused_files(void)
{
    size_t i, count;
    unsigned char *image;
    REFUSE("{" U8("a", "[2]", "[0,2]") "," U8("b", "[2]", "[1,3]") "}", 3,
           "\"b\" begins at 1, inside \"a\", which ends at 2");
    REFUSE("{" U8("b", "[2]", "[1,3]") "," U8("a", "[2]", "[0,2]") "}", 3, "\"b\" begins at 1");
    REFUSE("{" U8("a", "[2]", "[0,2]") "," U8("b", "[2]", "[0,2]") "}", 2, "\"b\" begins at 0");
    REFUSE("{" U8("a", "[3]", "[0,3]") "," U8("b", "[0]", "[1,1]") "}", 3, "\"b\" begins at 1");
    REFUSE("{" U8("a", "[1]", "[0,1]") "," U8("b", "[1]", "[2,3]") "}", 3,
           "\"b\" begins at 2, leaving a hole from 1");
    REFUSE("{" U8("a", "[1]", "[1,2]") "}", 2, "\"a\" begins at 1, leaving a hole from 0");
    REFUSE("{" U8("a", "[1]", "[0,1]") "}", 2, "end at 1, the file's data only at 2");
    REFUSE("{}", 1, "end at 0, the file's data only at 1");
    REFUSE("{" U8("a", "[1]", "[0,1]") "," U8("b", "[0]", "[1,1]") "," U8("\\u0061", "[1]",
                                                                          "[1,2]") "}",
           2, "two tensors are named \"a\"");
    REFUSE("{\"__metadata__\":[]}", 0, "expected '{'");
    REFUSE("{\"__metadata__\":null}", 0, "expected '{'");
    REFUSE("{\"__metadata__\":{\"a\":1}}", 0, "expected '\"'");
    REFUSE("{\"__metadata__\":{\"a\":\"1\"", 0, "expected '}'");
    REFUSE("{\"__metadata__\":{\"a\":\"1\",}}", 0, "expected '\"'");
    REFUSE("{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"a\":\"2\"}}", 0, "named \"a\"");
    REFUSE("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ for the second time");
    image = file_image("{}", 2, 0, &count);
    for (i = 0; i < 8; i++) {
        memset(image, 0, 8);
        image[i] = 0x80; /* 2^7, 2^15, ... 2^63 */
        CHECK(!cnv_safetensors_parse(image, count), "a header of 2^%d bytes", (int)(8 * i + 7));
        CHECK(strstr(cnv_error(), i < 3 ? "cut off" : "above 100000000"), "%s", cnv_error());
    }
    memset(image, 255, 8);
    CHECK(!cnv_safetensors_parse(image, count), "a header of 2^64-1 bytes");
    free(image);
    image = (unsigned char *)malloc(1);
    CHECK(!cnv_safetensors_parse(image, 0) && strstr(cnv_error(), "0 bytes"), "%s", cnv_error());
    free(image);
}

/* Every file that was cut off is refused, and no changed byte of the header does harm. */
static void test_damage(void)
{
    size_t count, header = 8 + strlen(small_header), cut, i, end;
    unsigned char *image = file_image(small_header, header - 8, SMALL_DATA, &count), *copy;
    cnv_safetensors *file;
    int value, k, survived = 0;
    for (cut = 0; cut < count; cut++) {
        copy = (unsigned char *)malloc(cut + !cut);
        memcpy(copy, image, cut);
        file = cnv_safetensors_parse(copy, cut);
        CHECK(!file, "accepted the first %d of %d bytes", (int)cut, (int)count);
        CHECK(strstr(cnv_error(), cut < 8 ? "not a safetensors file" : "cut off"), "%s",
              cnv_error());
        cnv_safetensors_close(file);
        free(copy);
    }
    for (i = 0; i < header; i++)
        for (value = 1; value < 256; value++) {
            image[i] = (unsigned char)(image[i] ^ value);
            file = cnv_safetensors_parse(image, count);
            for (k = 0, end = 0; file && k < file->count; k++) {
                CHECK(file->tensors[k].bytes == file->tensors[0].bytes + end, "a hole");
                end += file->tensors[k].byte_count;
            }
            CHECK(!file || !file->count || file->tensors[0].bytes + end == image + count,
                  "trailing");
            survived += file != NULL;
            cnv_safetensors_close(file);
            image[i] = (unsigned char)(image[i] ^ value);
        }
    CHECK(survived > 1000, "only %d changed names were accepted", survived);
    free(image);
}

/* n tensors of a byte each, in the order i * step mod n, named so that many share a long prefix. */
static int many_tensors(int n, int step, int twins)
{
    char *header = (char *)malloc((size_t)n * 120 + 3), *at = header;
    size_t count;
    unsigned char *image;
    cnv_safetensors *file;
    int i, k, found = 1;
    for (i = 0; i < n; i++) {
        k = (int)((long long)i * step % n);
        at += sprintf(at,
                      "%c\"the.name.of.a.layer.%d\":{\"dtype\":\"U8\",\"shape\":[1],"
                      "\"data_offsets\":[%d,%d]}",
                      i ? ',' : '{', k + (twins && k == 7), k, k + 1);
    }
    at += sprintf(at, "}");
    image = file_image(header, (size_t)(at - header), (size_t)n, &count);
    file = cnv_safetensors_parse(image, count);
    for (i = 0; file && i < n; i++) {
        char name[40];
        sprintf(name, "the.name.of.a.layer.%d", i);
        found = found && cnv_safetensors_find(file, name) == &file->tensors[i];
    }
    CHECK(found, "not all of %d tensors are found", n);
    i = file != NULL;
    cnv_safetensors_close(file);
    free(image);
    free(header);
    return i;
}

static void test_many(void)
{
    char *header = (char *)malloc(1000001);
    CHECK(many_tensors(65536, 1, 0), "65536 tensors: %s", cnv_error());
    CHECK(many_tensors(65536, 65535, 0), "backwards: %s", cnv_error());
    CHECK(many_tensors(65536, 40503, 0), "shuffled: %s", cnv_error());
    CHECK(!many_tensors(65537, 1, 0), "accepted 65537 tensors");
    CHECK(strstr(cnv_error(), "more than 65536 tensors"), "%s", cnv_error());
    CHECK(!many_tensors(65536, 40503, 1), "accepted twins");
    CHECK(strstr(cnv_error(), "two tensors are named \"the.name.of.a.layer.8\""), "%s",
          cnv_error());
    memset(header, '[', 1000000);
    header[1000000] = 0;
    memcpy(header, "{\"a\":{\"shape\":", 14);
    REFUSE(header, 0, "expected a number");
    memset(header + 5, '{', 1000000 - 5);
    REFUSE(header, 0, "expected '\"'");
    free(header);
}

/* ---- Numbers ---- */

/* The value of bits sign, exponent, mantissa by the definition of IEEE 754. */
static double ieee(int sign, int exponent, double mantissa, int exponent_bits, int mantissa_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1;
    double value;
    if (exponent == 2 * bias + 1)
        value = mantissa > 0 ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - bias - mantissa_bits);
    else
        value = ldexp(1 + ldexp(mantissa, -mantissa_bits), exponent - bias);
    return sign ? -value : value;
}

static int same_number(double a, double b)
{
    return a != a ? b != b : a == b && !signbit(a) == !signbit(b);
}

static cnv_safetensor tensor_of(const char *dtype, const unsigned char *bytes, size_t count)
{
    cnv_safetensor t;
    memset(&t, 0, sizeof t);
    t.name = "numbers";
    strcpy(t.dtype, dtype);
    t.rank = 1;
    t.bytes = bytes;
    t.byte_count = count;
    return t;
}

/* All numbers of 16 bits, at an odd address. */
static void test_small_floats(void)
{
    static unsigned char bytes[2 * 65536 + 1];
    static cnv_real values[65536];
    cnv_safetensor t = tensor_of("F16", bytes + 1, 2 * 65536);
    int i, wrong = 0;
    for (i = 0; i < 65536; i++) {
        bytes[2 * i + 1] = (unsigned char)(i & 255);
        bytes[2 * i + 2] = (unsigned char)(i >> 8);
    }
    CHECK(cnv_safetensor_read(&t, values, 65536), "%s", cnv_error());
    for (i = 0; i < 65536; i++)
        wrong += !same_number((double)values[i], ieee(i >> 15, i >> 10 & 31, i & 1023, 5, 10));
    CHECK(wrong == 0, "%d of all F16 numbers are wrong", wrong);
    strcpy(t.dtype, "BF16");
    CHECK(cnv_safetensor_read(&t, values, 65536), "%s", cnv_error());
    for (i = 0, wrong = 0; i < 65536; i++)
        wrong += !same_number((double)values[i], ieee(i >> 15, i >> 7 & 255, i & 127, 8, 7));
    CHECK(wrong == 0, "%d of all BF16 numbers are wrong", wrong);
}

/* Random numbers of 32 and 64 bits; each number of 64 bits is rounded to the nearest. */
static void test_large_floats(void)
{
    static unsigned char bytes[8 * 4096 + 1];
    static cnv_real values[8192];
    cnv_rng rng = cnv_rng_seed(1);
    cnv_safetensor t = tensor_of("F32", bytes + 1, 4 * 8192);
    int i, k, wrong = 0;
    for (i = 0; i < 8 * 4096 + 1; i++) bytes[i] = (unsigned char)(cnv_random(&rng) & 255);
    for (i = 0; i < 512; i++)
        bytes[1 + 4 * i + 3] = (unsigned char)(i & 1 ? 0x80 : 0x7F); /* tiny, NaN */
    CHECK(cnv_safetensor_read(&t, values, 8192), "%s", cnv_error());
    for (i = 0; i < 8192; i++) {
        uint32_t bits = 0;
        for (k = 3; k >= 0; k--) bits = bits << 8 | bytes[1 + 4 * i + k];
        wrong += !same_number((double)values[i], ieee((int)(bits >> 31), (int)(bits >> 23 & 255),
                                                      (double)(bits & 0x7FFFFF), 8, 23));
    }
    CHECK(wrong == 0, "%d F32 numbers are wrong", wrong);
    strcpy(t.dtype, "F64");
    for (i = 0; i < 2048; i++) { /* half of them within the range of float */
        bytes[1 + 8 * i + 7] = (unsigned char)((bytes[1 + 8 * i + 7] & 0x80) | 0x3F | (i & 0x40));
        if (i & 0x40) bytes[1 + 8 * i + 7] = (unsigned char)(bytes[1 + 8 * i + 7] & 0xC0);
    }
    CHECK(cnv_safetensor_read(&t, values, 4096), "%s", cnv_error());
    for (i = 0, wrong = 0; i < 4096; i++) {
        uint64_t bits = 0;
        for (k = 7; k >= 0; k--) bits = bits << 8 | bytes[1 + 8 * i + k];
        wrong += !same_number((double)values[i],
                              (double)(cnv_real)ieee((int)(bits >> 63), (int)(bits >> 52 & 2047),
                                                     (double)(bits & 0xFFFFFFFFFFFFFu), 11, 52));
    }
    CHECK(wrong == 0, "%d F64 numbers are wrong", wrong);
    CHECK(!cnv_safetensor_read(&t, values, 4095) && strstr(cnv_error(), "\"numbers\" has 4096"),
          "%s", cnv_error());
    strcpy(t.dtype, "I64");
    CHECK(!cnv_safetensor_read(&t, values, 4096) &&
              strstr(cnv_error(), "\"numbers\" is of type I64"),
          "%s", cnv_error());
}

/* ---- Weights ---- */

/* A network of parameters only, filled from a seed: conv.weight [2,3,2,2], conv.bias [2], fc.weight
   [4,8], and one with an odd name. */
enum { PARAMS = 4 };
static void make_net(cnv_net *net, cnv_param params[PARAMS], uint64_t seed)
{
    static const char *const names[PARAMS] = {"conv.weight", "conv.bias", "fc.weight",
                                              "\"odd\"\\\n\x01 \xc3\xa4\xf0\x9f\x90\xbb/{}:"};
    static const int shapes[PARAMS][5] = {
        {4, 2, 3, 2, 2}, {1, 1, 2, 1, 1}, {2, 4, 8, 1, 1}, {1, 1, 5, 1, 1}};
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    size_t j;
    memset(net, 0, sizeof *net);
    memset(params, 0, PARAMS * sizeof *params);
    net->params = params;
    net->param_count = PARAMS;
    for (i = 0; i < PARAMS; i++) {
        strcpy(params[i].name, names[i]);
        params[i].rank = shapes[i][0];
        cnv_tensor_resize(&params[i].value, shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4]);
        for (j = 0; j < cnv_tensor_size(&params[i].value); j++)
            params[i].value.data[j] = (cnv_real)(float)cnv_normal(&rng);
    }
}

static void free_net(cnv_net *net)
{
    int i;
    for (i = 0; i < net->param_count; i++) cnv_tensor_free(&net->params[i].value);
    cnv_safetensors_close(net->file);
    net->file = NULL;
}

/* Have both the same parameters, bit for bit? */
static int same_weights(const cnv_net *a, const cnv_net *b)
{
    int i;
    for (i = 0; i < PARAMS; i++) {
        const cnv_tensor *s = &a->params[i].value, *t = &b->params[i].value;
        if (s->n != t->n || s->c != t->c || s->h != t->h || s->w != t->w) return 0;
        if (memcmp(s->data, t->data, cnv_tensor_size(s) * sizeof(cnv_real))) return 0;
    }
    return 1;
}

static const char *const some_metadata[] = {
    "format", "pt", "a \"quote\"\t", "\x1f\xe2\x82\xac\\", "", "", NULL};

static void test_round_trip(void)
{
    const char *path = in_folder("files_test.safetensors");
    cnv_net net, other;
    cnv_param params[PARAMS], other_params[PARAMS];
    cnv_safetensors *file;
    unsigned char *bytes;
    size_t count;
    int i;
    make_net(&net, params, 1);
    make_net(&other, other_params, 2);
    net.params[0].value.data[0] = (cnv_real)-0.0;
    net.params[0].value.data[1] = (cnv_real)INFINITY;
    net.params[0].value.data[2] = (cnv_real)1e-45f;
    CHECK(!same_weights(&net, &other), "the two networks must differ at first");
    CHECK(cnv_save(&net, path, some_metadata), "%s", cnv_error());
    CHECK(!exists(in_folder("files_test.safetensors.tmp")), "left the temporary file");
    bytes = file_bytes(path, &count);
    CHECK(count > 8 && bytes[0] % 8 == 0 &&
              count == 8 + bytes[0] + 256u * bytes[1] + 4 * (24 + 2 + 32 + 5),
          "%d bytes", (int)count);
    CHECK(bytes[8 + bytes[0] + 256u * bytes[1] + 3] == 0x80, "-0.0 is not the first number");
    free(bytes);
    CHECK(cnv_load(&other, path), "%s", cnv_error());
    CHECK(same_weights(&net, &other), "cnv_load: other weights");
    CHECK(other.version == 1 && other.unused_tensors == 0, "%d", other.unused_tensors);
    free_net(&other);
    make_net(&other, other_params, 2);
    file = cnv_safetensors_open(path);
    CHECK(file, "%s", cnv_error());
    for (i = 0; file && some_metadata[i]; i += 2) {
        const char *value = cnv_safetensors_metadata(file, some_metadata[i]);
        CHECK(value && !strcmp(value, some_metadata[i + 1]), "metadata %s", some_metadata[i]);
    }
    for (i = 0; file && i < PARAMS; i++)
        CHECK(cnv_safetensors_find(file, params[i].name) == &file->tensors[i], "not in order");
    CHECK(file && cnv_load_parsed(&other, file), "%s", cnv_error());
    cnv_safetensors_close(file);
    CHECK(same_weights(&net, &other) && !other.file, "cnv_load_parsed: other weights");
    CHECK(cnv_save(&other, path, NULL) && cnv_load(&net, path), "without metadata: %s",
          cnv_error());
    net.param_count = other.param_count = 0;
    CHECK(cnv_save(&other, path, some_metadata) && cnv_load(&net, path), "nothing: %s",
          cnv_error());
    net.param_count = other.param_count = PARAMS;
    free_net(&net);
    free_net(&other);
    remove(path);
}

/* Mapped weights may be changed, and the file replaced, and neither sees the other. */
/* Tensors of one's own: views, too; and what cannot be written leaves what was there. */
static void test_tensors(void)
{
    static const char *const names[2] = {"maps", "a code"}, *const same_names[2] = {"a", "a"};
    const char *path = in_folder("files_test.safetensors"), *long_names[2];
    cnv_real numbers[24], read[24];
    cnv_tensor tensors[2];
    cnv_safetensors *file;
    const cnv_safetensor *found;
    char name[CNV_NAME_SIZE + 1];
    int i;
    for (i = 0; i < 24; i++) numbers[i] = (cnv_real)i / 4;
    tensors[0] = cnv_tensor_view(numbers, 2, 3, 1, 4);
    tensors[1] = cnv_tensor_view(numbers + 5, 1, 7, 1, 1);
    CHECK(cnv_safetensors_save(path, names, tensors, 2, some_metadata), "%s", cnv_error());
    memset(name, 'x', sizeof name), name[CNV_NAME_SIZE] = 0;
    long_names[0] = "short", long_names[1] = name;
    CHECK(!cnv_safetensors_save(path, long_names, tensors, 2, NULL) &&
          strstr(cnv_error(), "too long a name"), "%s", cnv_error());
    CHECK(!cnv_safetensors_save(path, same_names, tensors, 2, NULL), "a name twice");
    CHECK(!cnv_safetensors_save(in_folder("absent/x"), names, tensors, 2, NULL), "no folder");
    tensors[0].data = NULL;
    CHECK(!cnv_safetensors_save(path, names, tensors, 2, NULL) && strstr(cnv_error(), "is empty"),
          "%s", cnv_error());
    file = cnv_safetensors_open(path);
    CHECK(file && file->count == 2, "%s", cnv_error());
    found = file ? cnv_safetensors_find(file, "maps") : NULL;
    CHECK(found && found->rank == 4 && found->shape[0] == 2 && found->shape[1] == 3 &&
          found->shape[2] == 1 && found->shape[3] == 4, "another shape");
    CHECK(found && cnv_safetensor_read(found, read, 24) && !memcmp(read, numbers, sizeof read),
          "other numbers");
    found = file ? cnv_safetensors_find(file, "a code") : NULL;
    CHECK(found && cnv_safetensor_read(found, read, 7) && read[6] == numbers[11], "a view");
    CHECK(file && cnv_safetensors_metadata(file, "format"), "the metadata are lost");
    cnv_safetensors_close(file);
    CHECK(cnv_safetensors_save(path, names, tensors, 0, NULL), "none: %s", cnv_error());
    remove(path);
}

static void test_mapped(void)
{
    const char *path = in_folder("files_test.safetensors");
    cnv_net net, other;
    cnv_param params[PARAMS], other_params[PARAMS];
    unsigned char *before, *after;
    size_t count, after_count;
    make_net(&net, params, 1);
    make_net(&other, other_params, 2);
    CHECK(cnv_save(&net, path, NULL), "%s", cnv_error());
    before = file_bytes(path, &count);
    CHECK(cnv_load(&other, path), "%s", cnv_error());
    if (sizeof(cnv_real) == 4) {
#ifdef CNV__MMAP
        CHECK(other.file && other.file->mapped, "read, not mapped");
#endif
        CHECK(other.file && !other_params[0].value.capacity && !other_params[3].value.capacity,
              "the weights were copied");
        CHECK(cnv_load(&other, path), "a second time: %s", cnv_error());
        CHECK(same_weights(&net, &other), "a second time: other weights");
    }
    other_params[2].value.data[5] = 1234;
    after = file_bytes(path, &after_count);
    CHECK(after_count == count && !memcmp(before, after, count), "the file has changed");
    free(after);
    CHECK(cnv_save(&other, path, NULL), "over itself: %s", cnv_error());
    CHECK(!same_weights(&net, &other) && cnv_load(&net, path), "%s", cnv_error());
    CHECK(same_weights(&net, &other) && params[2].value.data[5] == 1234, "saved over itself");
    CHECK(!other.file || cnv_load_parsed(&other, other.file), "from its own file: %s", cnv_error());
    CHECK(params[2].value.data[5] == 1234, "a view of a file that was let go");
    free(before);
    free_net(&net);
    free_net(&other);
    remove(path);
}

/* A safetensors file for the test network with other types; the last entry as given. */
static unsigned char *typed_image(const char *last, size_t last_bytes, size_t *count)
{
    char header[800];
    snprintf(header, sizeof header,
             "{\"conv.weight\":{\"dtype\":\"F16\",\"shape\":[2,3,2,2],\"data_offsets\":[0,48]},"
             "\"conv.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[48,56]},"
             "\"fc.weight\":{\"dtype\":\"BF16\",\"shape\":[4,2,2,2],\"data_offsets\":[56,120]},"
             "\"\\\"odd\\\"\\\\\\n\\u0001 \\u00e4\\ud83d\\udc3b/{}:\":{%s},"
             "\"steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[%d,%d]}} ",
             last, 120 + (int)last_bytes, 128 + (int)last_bytes);
    return file_image(header, strlen(header), 128 + last_bytes, count);
}

/* Whatever is wrong with a file, the network stays as it was. */
static void refuse_weights(const unsigned char *image, size_t count, const char *message, int line)
{
    const char *path = in_folder("files_test.safetensors");
    cnv_net net, untouched;
    cnv_param params[PARAMS], other_params[PARAMS], before[PARAMS];
    cnv_safetensors *file = cnv_safetensors_parse(image, count);
    char wanted[512];
    make_net(&net, params, 1);
    make_net(&untouched, other_params, 1);
    memcpy(before, params, sizeof params);
    net.unused_tensors = 77;
    CHECK(file, "line %d: %s", line, cnv_error());
    CHECK(!file || !cnv_load_parsed(&net, file), "line %d: loaded", line);
    CHECK(!strcmp(cnv_error(), message), "line %d: \"%s\"", line, cnv_error());
    cnv_safetensors_close(file);
    write_file(path, image, count);
    CHECK(!cnv_load(&net, path), "line %d: loaded", line);
    snprintf(wanted, sizeof wanted, "\"%s\": %s", path, message);
    CHECK(!strcmp(cnv_error(), wanted), "line %d: \"%s\"", line, cnv_error());
    remove(path);
    CHECK(!memcmp(before, params, sizeof params) && same_weights(&net, &untouched) && !net.file &&
              net.unused_tensors == 77 && !net.version,
          "line %d: the network has changed", line);
    free_net(&net);
    free_net(&untouched);
}

static void test_refused_weights(void)
{
    static const char header[] =
        "{\"conv.weight\":{\"dtype\":\"F32\",\"shape\":[2,3,2,1],\"data_offsets\":[0,48]},"
        "\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[8,4,1,1],\"data_offsets\":[48,176]},"
        "\"features.0.weight\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[176,180]},"
        "\"features.0.bias\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[180,184]}}";
    size_t count;
    unsigned char *image = file_image(header, sizeof header - 1, 184, &count);
    refuse_weights(
        image, count,
        "2 of 4 parameters are missing (first \"conv.bias\"), 2 have another shape (first "
        "\"conv.weight\": the file has 2x3x2x1, the network wants 2x3x2x2), 2 tensors have "
        "no place in the network (first \"features.0.weight\")",
        __LINE__);
    free(image);
    image = typed_image("\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[120,144]", 24, &count);
    refuse_weights(
        image, count,
        "1 has another shape (first \"\"odd\"\\\n\x01 \xc3\xa4\xf0\x9f\x90\xbb/{}:\": the file "
        "has 6, the network wants 5), 1 tensor has no place in the network (first "
        "\"steps\")",
        __LINE__);
    free(image);
    image = typed_image("\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[120,125]", 5, &count);
    refuse_weights(image, count,
                   "tensor \"\"odd\"\\\n\x01 \xc3\xa4\xf0\x9f\x90\xbb/{}:\" is of type U8; "
                   "F32, F16, BF16 and F64 can be read",
                   __LINE__);
    free(image);
}

/* Types mixed in a file; a tensor that is not asked for; an F32 at an odd address. */
static void test_mixed_types(void)
{
    const char *path = in_folder("files_test.safetensors");
    size_t count;
    unsigned char *image =
        typed_image("\"dtype\":\"F64\",\"shape\":[5],\"data_offsets\":[120,160]", 40, &count);
    cnv_safetensors *file = cnv_safetensors_parse(image, count);
    cnv_net net, other;
    cnv_param params[PARAMS], other_params[PARAMS];
    cnv_real five[5];
    make_net(&net, params, 1);
    make_net(&other, other_params, 2);
    CHECK(file && cnv_load_parsed(&net, file), "%s", cnv_error());
    CHECK(net.unused_tensors == 1, "%d", net.unused_tensors);
    CHECK(params[0].value.data[1] == (cnv_real)ieee(0, 0, 0x302, 5, 10), "F16 0x0302");
    CHECK(params[2].value.data[0] == (cnv_real)ieee(0, 0x39 << 1, 0x38, 8, 7), "BF16 0x3938");
    CHECK(file && cnv_safetensor_read(&file->tensors[3], five, 5) &&
              !memcmp(five, params[3].value.data, sizeof five),
          "F64");
    write_file(path, image, count);
    CHECK(cnv_load(&other, path), "%s", cnv_error());
    CHECK(same_weights(&net, &other), "cnv_load and cnv_load_parsed differ");
    CHECK(other_params[0].value.capacity, "an F16 tensor is no view");
    net.broken = 1;
    strcpy(net.message, "conv \"x\" was not built");
    CHECK(!cnv_load(&net, path) && strstr(cnv_error(), "not built"), "%s", cnv_error());
    CHECK(!cnv_load_parsed(&net, file) && strstr(cnv_error(), "not built"), "%s", cnv_error());
    CHECK(!cnv_save(&net, path, NULL) && strstr(cnv_error(), "not built"), "%s", cnv_error());
    cnv_safetensors_close(file);
    free(image);
    free_net(&net);
    free_net(&other);
    remove(path);
}

/* A file that cannot be opened, or written: a sentence, and nothing is left. */
static void test_disk(void)
{
    static const char *const twice[] = {"a", "1", "b", "2", "a", "3", NULL};
    static const char *const latin1[] = {"a", "\xe4", NULL};
    const char *path = in_folder("files_test.safetensors"),
               *absent = in_folder("absent/x.safetensors");
    char command[600];
    cnv_net net;
    cnv_param params[PARAMS];
    make_net(&net, params, 1);
    CHECK(!cnv_load(&net, absent) && strstr(cnv_error(), absent), "%s", cnv_error());
    CHECK(!cnv_load(&net, folder) && strstr(cnv_error(), folder), "%s", cnv_error());
    CHECK(!cnv_save(&net, absent, NULL) && strstr(cnv_error(), absent), "%s", cnv_error());
    CHECK(!cnv_save(&net, folder, NULL) && strstr(cnv_error(), folder), "%s", cnv_error());
    snprintf(command, sizeof command, "%s.tmp", folder);
    CHECK(!exists(command), "left %s", command);
    write_file(path, "", 0);
    CHECK(!cnv_load(&net, path) && strstr(cnv_error(), "it has 0 bytes"), "%s", cnv_error());
    write_file(path, "old", 3);
    CHECK(!cnv_save(&net, path, twice) && strstr(cnv_error(), "named \"a\""), "%s", cnv_error());
    CHECK(!cnv_save(&net, path, latin1) && strstr(cnv_error(), "invalid UTF-8"), "%s", cnv_error());
    strcpy(params[1].name, "conv.weight");
    CHECK(!cnv_save(&net, path, NULL) && strstr(cnv_error(), "conv.weight"), "%s", cnv_error());
    strcpy(params[1].name, "__metadata__");
    CHECK(!cnv_save(&net, path, NULL) && strstr(cnv_error(), path), "%s", cnv_error());
    CHECK(!exists(in_folder("files_test.safetensors.tmp")), "left the temporary file");
    strcpy(params[1].name, "conv.bias");
    if (exists("/dev/full")) { /* a disk without room */
        size_t count;
        unsigned char *bytes;
        snprintf(command, sizeof command, "ln -sf /dev/full '%s.tmp'", path);
        CHECK(system(command) == 0, "cannot prepare");
        CHECK(!cnv_save(&net, path, NULL) && strstr(cnv_error(), "space"), "%s", cnv_error());
        CHECK(!exists(in_folder("files_test.safetensors.tmp")), "left the temporary file");
        bytes = file_bytes(path, &count);
        CHECK(count == 3 && !memcmp(bytes, "old", 3), "the old file was lost");
        free(bytes);
    }
#ifdef CNV__MMAP
    remove(path); /* what is no regular file is not replaced: a pipe, say (never try a device!) */
    snprintf(command, sizeof command, "mkfifo '%s'", path);
    CHECK(system(command) == 0, "cannot prepare");
    CHECK(!cnv_save(&net, path, NULL) && strstr(cnv_error(), "not a regular file"), "%s",
          cnv_error());
    snprintf(command, sizeof command, "test -p '%s'", path);
    CHECK(system(command) == 0, "the pipe was replaced");
    CHECK(!exists(in_folder("files_test.safetensors.tmp")), "left the temporary file");
#endif
    free_net(&net);
    remove(path);
}

/* Wherever memory runs out: failure, a message, nothing lost, nothing leaked. */
static void test_memory(void)
{
    const char *path = in_folder("files_test.safetensors"), *picture = in_folder("files_test.ppm");
    cnv_net net, other;
    cnv_param params[PARAMS], other_params[PARAMS];
    cnv_tensor image = {0, 0, 0, 0, 0, 0};
    size_t count;
    unsigned char *bytes =
        typed_image("\"dtype\":\"F64\",\"shape\":[5],\"data_offsets\":[120,160]", 40, &count);
    long limit, blocks, failures = 0;
    int done = 0;
    make_net(&other, other_params, 1);
    write_file(path, bytes, count);
    for (limit = 0; !done && limit < 100; limit++) {
        make_net(&net, params, 1);
        blocks = memory_blocks;
        cnv__fail("no message");
        memory_left = limit;
        done = cnv_load(&net, path);
        memory_left = -1;
        failures += !done;
        CHECK(done || (strstr(cnv_error(), "memory") && memory_blocks == blocks), "%s",
              cnv_error());
        CHECK(done || same_weights(&net, &other), "weights were lost");
        free_net(&net);
    }
    CHECK(done && failures >= 5, "%ld failures: %s", failures, cnv_error());
    for (limit = 0, done = 0; !done && limit < 100; limit++) {
        blocks = memory_blocks;
        memory_left = limit;
        done = cnv_save(&other, path, NULL);
        memory_left = -1;
        CHECK(memory_blocks == blocks && (done || strstr(cnv_error(), "memory")), "%s",
              cnv_error());
    }
    write_file(picture, "P5 2 1 255\n12", 13);
    for (limit = 0, done = 0; !done && limit < 100; limit++) {
        blocks = memory_blocks;
        memory_left = limit;
        done = cnv_image_load(picture, &image);
        memory_left = -1;
        CHECK(done || (memory_blocks == blocks && strstr(cnv_error(), "memory")), "%s",
              cnv_error());
    }
    for (limit = 0, done = 0; !done && limit < 100; limit++) {
        blocks = memory_blocks;
        memory_left = limit;
        done = cnv_image_save(picture, &image);
        memory_left = -1;
        CHECK(memory_blocks == blocks && (done || strstr(cnv_error(), "memory")), "%s",
              cnv_error());
    }
    cnv_tensor_free(&image);
    CHECK(done, "%s", cnv_error());
    free_net(&other);
    free(bytes);
    remove(path);
    remove(picture);
    CHECK(memory_blocks == 0, "%ld blocks of memory leaked", memory_blocks);
}

/* ---- Pictures ---- */

/* Decodes a copy as long as it should be. */
static int decode(const char *bytes, size_t count, cnv_tensor *image)
{
    char *copy = (char *)malloc(count + !count);
    int decoded;
    memcpy(copy, bytes, count);
    decoded = cnv_pnm_decode(copy, count, image);
    free(copy);
    return decoded;
}

/* The picture's samples, times `most`, must be those of `wanted` [c][h][w]. */
static void read_picture(const char *bytes, size_t count, int c, int h, int w, int most,
                         const int *wanted, int line)
{
    cnv_tensor image = {0, 0, 0, 0, 0, 0};
    int i;
    CHECK(decode(bytes, count, &image), "line %d: %s", line, cnv_error());
    CHECK(image.n == 1 && image.c == c && image.h == h && image.w == w, "line %d: shape", line);
    for (i = 0; image.data && i < c * h * w; i++)
        CHECK(image.data[i] == (cnv_real)wanted[i] / (cnv_real)most, "line %d: sample %d is %g",
              line, i, (double)image.data[i]);
    cnv_tensor_free(&image);
}
#define READ(bytes, c, h, w, most, wanted)                                                         \
    read_picture(bytes, sizeof bytes - 1, c, h, w, most, wanted, __LINE__)

static void test_pnm(void)
{
    static const int gray[6] = {0, 1, 2, 200, 254, 255}, small[6] = {0, 1, 2, 3, 4, 5};
    static const int color[6] = {10, 40, 20, 50, 30, 60}; /* planes of red, green, blue */
    static const int wide[2] = {0x0102, 0xfffe}, comment[1] = {'#'};
    READ("P2\n3 2\n255\n0 1 2\n200 254 255\n", 1, 2, 3, 255, gray);
    READ("P5\n3 2\n255\n\0\1\2\xc8\xfe\xff", 1, 2, 3, 255, gray);
    READ("P5 3 2 5 \0\1\2\3\4\5 and garbage", 1, 2, 3, 5, small);
    READ("P2 2 3 5 0 1 2 3 4 5", 1, 3, 2, 5, small);
    READ("P3 2 1 99 10 20 30 40 50 60", 3, 1, 2, 99, color);
    READ("P6 2 1 99 \x0a\x14\x1e\x28\x32\x3c", 3, 1, 2, 99, color);
    READ("P5 2 1 65535\n\1\2\xff\xfe", 1, 1, 2, 65535, wide);
    READ("P2 2 1 65535\n258 65534", 1, 1, 2, 65535, wide);
    READ("P5 2 1 65534\n\1\2\xff\xfe", 1, 1, 2, 65534, wide);
    READ("P6 1 2 256 \0\012\0\024\0\036\0\050\0\062\0\074", 3, 2, 1, 256, color);
    READ("P2#a\n#b 9 9\n 2#c\r\n\t#\n3 # 9 #\n5#x\n0 1#y\n2 3 #4 4\n4 5#", 1, 3, 2, 5, small);
    READ("P5#a\n2# 7\n#\n3#x\n5#x\n\0\1\2\3\4\5", 1, 3, 2, 5, small);
    READ("P5 1 1 255\n#", 1, 1, 1, 255, comment);
    READ("P5 1 1 255 #\n1", 1, 1, 1, 255, comment);
}

/* Refused with a message that holds `word`; the image stays as it was. */
static void refuse_picture(const char *bytes, size_t count, const char *word, int line)
{
    cnv_real data[6] = {1, 2, 3, 4, 5, 6}, *memory;
    cnv_tensor view = cnv_tensor_view(data, 1, 1, 2, 3), image = {0, 0, 0, 0, 0, 0};
    int i;
    cnv_tensor_copy(&view, &image);
    memory = image.data;
    cnv__fail("no message");
    CHECK(!decode(bytes, count, &image), "line %d: accepted %.*s", line, (int)count, bytes);
    CHECK(strstr(cnv_error(), word), "line %d: \"%s\" does not say \"%s\"", line, cnv_error(),
          word);
    CHECK(image.data == memory && image.h == 2 && image.w == 3, "line %d: the image changed", line);
    for (i = 0; image.data && i < 6; i++)
        CHECK(image.data[i] == data[i], "line %d: pixel %d", line, i);
    cnv_tensor_free(&image);
}
#define REFUSE_PICTURE(bytes, word) refuse_picture(bytes, sizeof bytes - 1, word, __LINE__)

static void test_refused_pnm(void)
{
    static const char *const cut[4] = {"P2 # x\n3 2\n255\n0 1 2\n200 254 9", "P3 1 2 9 1 2 3 4 5 6",
                                       "P5 3 2\n255\n......", "P6 # 1\n1 1 300\n\001.\001.\001."};
    cnv_real three[3];
    cnv_tensor view = cnv_tensor_view(three, 1, 1, 1, 3);
    size_t i, length;
    for (i = 0; i < 4; i++) {
        refuse_picture(cut[i], 0, "not a PNM", __LINE__);
        for (length = 1; length < strlen(cut[i]); length++)
            refuse_picture(cut[i], length, length < 3 ? "not a PNM" : "cut off", __LINE__);
    }
    REFUSE_PICTURE("P1 1 1 1", "not a PNM");
    REFUSE_PICTURE("P4 1 1 1", "not a PNM");
    REFUSE_PICTURE("P7\nWIDTH 1", "not a PNM");
    REFUSE_PICTURE("p5 1 1 1 1", "not a PNM");
    REFUSE_PICTURE("P\0 1 1 1 1", "not a PNM");
    REFUSE_PICTURE("P51 1 1 1 1", "not a PNM");
    REFUSE_PICTURE("P5 0 1 255 ", "0 x 1");
    REFUSE_PICTURE("P5 1 0 255 ", "1 x 0");
    REFUSE_PICTURE("P5 1 1 0 \0", "maximum 0");
    REFUSE_PICTURE("P5 1 1 65536 \0\0", "a maximum above 65535");
    REFUSE_PICTURE("P5 1 1 99999999999999999999 \0\0", "a maximum above 65535");
    REFUSE_PICTURE("P5 2147483648 1 255 .", "a width above 2147483647");
    REFUSE_PICTURE("P5 1 4294967297 255 .", "a height above 2147483647");
    REFUSE_PICTURE("P5 2147483647 2147483647 255 .", "2147483647 x 2147483647");
    REFUSE_PICTURE("P6 2147483647 2147483647 65535 .", "2147483647 x 2147483647");
    REFUSE_PICTURE("P3 1000000 1000000 255 1 2 3", "1000000 x 1000000");
    REFUSE_PICTURE("P2 -1 1 255 1", "a width that is no number");
    REFUSE_PICTURE("P2 1x 1 255 1", "a width that is no number");
    REFUSE_PICTURE("P2 1 1.5 255 1", "a height that is no number");
    REFUSE_PICTURE("P2 1 1 5 6", "a sample above 5");
    REFUSE_PICTURE("P2 2 1 5 5 6", "a sample above 5");
    REFUSE_PICTURE("P5 2 1 5 \5\6", "a sample above 5");
    REFUSE_PICTURE("P5 1 1 256 \1\1", "a sample above 256");
    REFUSE_PICTURE("P2 2 1 5 5,5", "a sample that is no number");
    CHECK(!decode("P5 2 1 9 12", 11, &view) && view.w == 3, "a view of another size");
}

/* Saves and reads back: every byte value, clamped and rounded. */
static void test_saved_pictures(void)
{
    static const char *const endings[3] = {".png", ".ppm", ".pgm"};
    static const char *const loud[3] = {"files_test.PNG", "files_test.PPM", "files_test.pgm"};
    cnv_tensor image = {0, 0, 0, 0, 0, 0}, back = {0, 0, 0, 0, 0, 0};
    int c, i, kind, want, wrong;
    for (c = 1; c <= 3; c += 2)
        for (kind = 0; kind < (c == 1 ? 3 : 2); kind++) {
            const char *path = in_folder(loud[kind]);
            unsigned char *pixels = NULL;
            int w = 0, h = 0, channels = 0, saved;
            CHECK(cnv_tensor_resize(&image, 1, c, 17, 23), "%s", cnv_error());
            for (i = 0; i < c * 17 * 23; i++)
                image.data[i] = ((cnv_real)(i * 7 % 300) - 20) / 255 + (cnv_real)(i % 9 - 4) / 2300;
            image.data[0] = (cnv_real)NAN;
            image.data[1] = (cnv_real)INFINITY;
            image.data[2] = -(cnv_real)INFINITY;
            saved = cnv_image_save(path, &image);
#ifndef INCLUDE_STB_IMAGE_WRITE_H
            if (kind == 0) {
                CHECK(!saved && strstr(cnv_error(), ".ppm"), "%s", cnv_error());
                continue;
            }
#endif
            CHECK(saved, "%s", cnv_error());
            if (kind > 0) {
                CHECK(cnv_image_load(path, &back), "%s", cnv_error());
                h = back.h, w = back.w, channels = back.c;
            } else {
                CHECK(!cnv_image_load(path, &back), "loaded a PNG without stb_image.h");
                CHECK(strstr(cnv_error(), path) &&
                          strstr(cnv_error(), "is not a PNM picture: convert"),
                      "%s", cnv_error());
#ifdef STBI_VERSION
                pixels = stbi_load(path, &w, &h, &channels, 0);
#else
                continue;
#endif
            }
            CHECK(w == 23 && h == 17 && channels == (kind == 1 ? 3 : c), "%s: shape", path);
            for (i = 0, wrong = 0; w == 23 && i < channels * 17 * 23; i++) {
                int k = i % channels, p = i / channels;
                double value = (double)image.data[(c == 1 ? 0 : k) * 17 * 23 + p];
                double got = pixels ? pixels[i] : (double)back.data[k * 17 * 23 + p] * 255;
                want = value > 0 ? (int)floor((value < 1 ? value : 1) * 255 + 0.5) : 0;
                wrong += fabs(got - want) > 1e-3;
            }
            CHECK(wrong == 0, "%s of %d channels: %d samples are wrong", endings[kind], c, wrong);
            free(pixels);
            remove(path);
        }
    cnv_tensor_free(&back);
    cnv_tensor_free(&image);
}

static void test_refused_pictures(void)
{
    cnv_real data[6] = {0, 0, 0, 0, 0, 0};
    cnv_tensor gray = cnv_tensor_view(data, 1, 1, 1, 1), rgb = cnv_tensor_view(data, 1, 3, 1, 1);
    cnv_tensor two = cnv_tensor_view(data, 2, 3, 1, 1), pair = cnv_tensor_view(data, 1, 2, 1, 1);
    cnv_tensor nothing = {0, 0, 0, 0, 0, 0};
    const char *path = in_folder("files_test.ppm"), *absent = in_folder("absent/x.ppm");
    CHECK(!cnv_image_save("cat.jpg", &gray) && strstr(cnv_error(), "\"cat.jpg\""), "%s",
          cnv_error());
    CHECK(!cnv_image_save("png", &gray) && strstr(cnv_error(), "\"png\""), "%s", cnv_error());
    CHECK(!cnv_image_save(in_folder("a.pgm"), &rgb) && strstr(cnv_error(), "a.pgm"), "%s",
          cnv_error());
    CHECK(!cnv_image_save(path, &two) && strstr(cnv_error(), "2 x 3 x 1 x 1"), "%s", cnv_error());
    CHECK(!cnv_image_save(path, &pair) && strstr(cnv_error(), "1 x 2 x 1 x 1"), "%s", cnv_error());
    CHECK(!cnv_image_save(path, &nothing) && strstr(cnv_error(), "0 x 0"), "%s", cnv_error());
    CHECK(!exists(path) && !exists(in_folder("files_test.ppm.tmp")), "left a file");
    CHECK(!cnv_image_save(absent, &gray) && strstr(cnv_error(), absent), "%s", cnv_error());
    CHECK(!cnv_image_load(absent, &nothing) && strstr(cnv_error(), absent), "%s", cnv_error());
    CHECK(!cnv_image_load(folder, &nothing) && strstr(cnv_error(), folder), "%s", cnv_error());
    write_file(path, "P5 9 9 255 .", 12);
    CHECK(!cnv_image_load(path, &nothing) && strstr(cnv_error(), path), "%s", cnv_error());
    write_file(path, "", 0);
    CHECK(!cnv_image_load(path, &nothing) && strstr(cnv_error(), "not a PNM"), "%s", cnv_error());
    CHECK(!nothing.data, "the image changed");
    remove(path);
}

int main(int argc, char **argv)
{
    if (argc > 1) snprintf(folder, sizeof folder, "%s", argv[1]);
    test_accepted();
    test_strings();
    test_refused_json();
    test_refused_utf8();
    test_refused_entries();
    test_refused_files();
    test_damage();
    test_many();
    test_small_floats();
    test_large_floats();
    test_round_trip();
    test_tensors();
    test_mapped();
    test_refused_weights();
    test_mixed_types();
    test_disk();
    test_memory();
    test_pnm();
    test_refused_pnm();
    test_saved_pictures();
    test_refused_pictures();
    return check_report();
}
