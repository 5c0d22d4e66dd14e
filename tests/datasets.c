/* Proves that examples/datasets.h reads what it says: the right pixels, labels and class names from
   CIFAR-10 batches, IDX files, folders of pictures and the Toybox; that what is damaged ends the
   program with one sentence that names the file; and that train.c keeps its held-out pictures out.

   How: small files are written into build/datasets_test, and removed in the end. What must be
   refused is read in a child process, whose words and exit status are looked at.

       cc -O2 tests/datasets.c -o build/datasets -lm && build/datasets                            */
#define main train_main /* train.c is a test's guest here */
#include "../examples/train.c"
#undef main
#include "check.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#include <sys/stat.h>
#include <sys/wait.h>

static const char *const root = "build/datasets_test";

/* ---- Files ---- */

/* root/name, valid until sixteen calls later */
static const char *in_root(const char *name)
{
    static char paths[16][256];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%.200s", root, name);
    return path;
}

/* Removes a file, or a folder with all that is in it. */
static void clear(const char *path)
{
    DIR *folder = remove(path) ? opendir(path) : NULL;
    struct dirent *entry;
    char inside[512];
    while (folder && (entry = readdir(folder)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(inside, sizeof inside, "%.240s/%.255s", path, entry->d_name);
        clear(inside);
    }
    if (folder) closedir(folder), remove(path);
}

static const char *make_folder(const char *name)
{
    const char *path = in_root(name);
    CHECK(!mkdir(path, 0777), "cannot make the folder %s", path);
    return path;
}

static const char *empty_folder(const char *name)
{
    clear(in_root(name));
    return make_folder(name);
}

static void write_file(const char *name, const void *bytes, size_t count)
{
    FILE *f = fopen(in_root(name), "wb");
    CHECK(f && fwrite(bytes, 1, count, f) == count, "cannot prepare %s", name);
    if (f) fclose(f);
}
#define WRITE(name, text) write_file(name, text, sizeof(text) - 1)

/* The file's bytes, to be freed. */
static unsigned char *file_bytes(const char *name, size_t *count)
{
    unsigned char *bytes = (unsigned char *)calloc(1 << 16, 1);
    FILE *f = fopen(in_root(name), "rb");
    *count = f ? fread(bytes, 1, 1 << 16, f) : 0;
    if (f) fclose(f);
    return bytes;
}

/* Byte i of picture number `picture`: no two rows, columns or channels are alike. */
static unsigned char byte_of(size_t picture, size_t i)
{
    return (unsigned char)(((picture * 12289 + i) * 2654435761u & 0xFFFFFFFFu) >> 24);
}

/* ---- What is read ---- */

static const example self = {.program = "datasets"};
static int classes_before; /* a dataset has these already when a folder is opened */

/* What lies in root/name, resized to side x side. */
static dataset opened(const char *name, int side)
{
    dataset d = {0};
    d.side = side, d.classes = classes_before;
    dataset_open(&self, &d, in_root(name));
    return d;
}

static int pixel(const dataset *d, int i, int c, int y, int x)
{
    return d->pixels[(size_t)i * dataset_image_bytes(d) +
                     (size_t)((c * d->side + y) * d->side + x)];
}

/* How many pixels of picture i are not red, green, blue. */
static int wrong_color(const dataset *d, int i, int red, int green, int blue)
{
    int k, wrong = 0, plane = d->side * d->side;
    const unsigned char *at = d->pixels + (size_t)i * dataset_image_bytes(d);
    for (k = 0; k < plane; k++)
        wrong += at[k] != red || at[plane + k] != green || at[2 * plane + k] != blue;
    return wrong;
}

/* ---- What is refused ---- */

static char said[4096]; /* the child's output, to both streams */

/* Runs job(argument) in a child process; returns its exit status, or 1000 + the signal that ended
   it. A child has one thread: those of its parent are not in it. */
static int in_child(void (*job)(const char *), const char *argument)
{
    int ends[2], status = 0;
    size_t length = 0;
    ssize_t more;
    pid_t child;
    fflush(NULL);
    if (pipe(ends) || (child = fork()) < 0) return -1;
    if (child == 0) {
#ifdef _OPENMP
        omp_set_num_threads(1);
#endif
        if (dup2(ends[1], 1) != 1 || dup2(ends[1], 2) != 2) _exit(99);
        close(ends[0]), close(ends[1]);
        job(argument);
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    while (length < sizeof said - 1 &&
           (more = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)more;
    said[length] = 0;
    close(ends[0]);
    if (waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void open_small(const char *name)
{
    dataset d = opened(name, 4);
    dataset_free(&d);
}

/* The folder root/name must be refused with status 1 and one line, which has the path of `file`
   and `words` in it. */
static void refuse(const char *name, const char *file, const char *words, int line)
{
    char quoted[300];
    int status = in_child(open_small, name);
    snprintf(quoted, sizeof quoted, "\"%s\"", in_root(file));
    CHECK(status == 1, "line %d: exit status %d: %s", line, status, said);
    CHECK(!strncmp(said, "datasets: ", 10) && strchr(said, '\n') == said + strlen(said) - 1,
          "line %d: not one sentence: \"%s\"", line, said);
    CHECK(strstr(said, quoted), "line %d: %s is not named: %s", line, quoted, said);
    CHECK(strstr(said, words), "line %d: no word of \"%s\": %s", line, words, said);
}
#define REFUSE(name, file, words) refuse(name, file, words, __LINE__)

static void accept(const char *name, int line)
{
    int status = in_child(open_small, name);
    CHECK(status == 0 && !*said, "line %d: exit status %d: %s", line, status, said);
}
#define ACCEPT(name) accept(name, __LINE__)

/* ---- CIFAR-10 ---- */

enum { RECORD = 1 + 3 * 32 * 32 };

/* A batch of n records, its pictures numbered from `first` on. */
static void write_cifar(const char *name, const int *labels, int n, int first)
{
    unsigned char *bytes = (unsigned char *)malloc((size_t)n * RECORD);
    int i, k;
    for (i = 0; i < n; i++) {
        bytes[i * RECORD] = (unsigned char)labels[i];
        for (k = 0; k < RECORD - 1; k++)
            bytes[i * RECORD + 1 + k] = byte_of((size_t)(first + i), (size_t)k);
    }
    write_file(name, bytes, (size_t)n * RECORD);
    free(bytes);
}

/* At its own size a picture arrives byte for byte: red, green, blue, each row by row. */
static void test_cifar(void)
{
    static const char *const names[10] = {"airplane", "automobile", "bird", "cat", "deer",
                                          "dog", "frog", "horse", "ship", "truck"};
    static const int labels[5] = {9, 0, 3, 7, 7};
    dataset d;
    size_t i, wrong = 0;
    empty_folder("cifar");
    write_cifar("cifar/data_batch_5.bin", labels + 3, 2, 3);
    write_cifar("cifar/data_batch_1.bin", labels, 2, 0); /* the third and fourth are not there */
    write_cifar("cifar/data_batch_2.bin", labels + 2, 1, 2);
    write_cifar("cifar/data_batch_6.bin", labels, 1, 5); /* there is no such batch */
    write_cifar("cifar/test_batch.bin", labels, 1, 6);   /* not to learn from */
    d = opened("cifar", 32);
    CHECK(d.n == 5 && d.classes == 10 && d.side == 32, "%d pictures, %d classes", d.n, d.classes);
    for (i = 0; d.n == 5 && i < 5 * (RECORD - 1); i++)
        wrong += d.pixels[i] != byte_of(i / (RECORD - 1), i % (RECORD - 1));
    CHECK(wrong == 0, "%zu bytes are wrong", wrong);
    for (i = 0; d.n == 5 && i < 5; i++)
        CHECK(d.labels[i] == labels[i], "label %zu: %d", i, d.labels[i]);
    for (i = 0; i < 10; i++) CHECK(!strcmp(d.names[i], names[i]), "%s", d.names[i]);
    dataset_free(&d);
}

/* Red rises to the right, green downwards, by 8 a pixel; blue is 77. */
static void write_ramps(const char *name)
{
    unsigned char record[RECORD] = {4};
    int k;
    for (k = 0; k < 1024; k++) {
        record[1 + k] = (unsigned char)(8 * (k % 32));
        record[1 + 1024 + k] = (unsigned char)(8 * (k / 32));
        record[1 + 2048 + k] = 77;
    }
    write_file(name, record, RECORD);
}

/* On twice as many pixels a ramp rises half as fast, but for its two ends; on half as many pixels,
   each is the mean of two. */
static void test_resized(void)
{
    dataset large, small;
    int y, x, wrong = 0;
    empty_folder("ramps");
    write_ramps("ramps/data_batch_1.bin");
    large = opened("ramps", 64), small = opened("ramps", 16);
    CHECK(large.n == 1 && small.n == 1 && large.labels[0] == 4, "%d, %d", large.n, small.n);
    for (y = 1; y < 63; y++)
        for (x = 1; x < 63; x++)
            wrong += pixel(&large, 0, 0, y, x) != 4 * x - 2 ||
                     pixel(&large, 0, 1, y, x) != 4 * y - 2 || pixel(&large, 0, 2, y, x) != 77;
    CHECK(wrong == 0, "%d of 64 x 64 pixels", wrong);
    CHECK(pixel(&large, 0, 0, 5, 0) == 0 && pixel(&large, 0, 0, 5, 63) == 248 &&
          pixel(&large, 0, 1, 63, 5) == 248, "the edges");
    for (y = 0, wrong = 0; y < 16; y++)
        for (x = 0; x < 16; x++)
            wrong += pixel(&small, 0, 0, y, x) != 16 * x + 4 ||
                     pixel(&small, 0, 1, y, x) != 16 * y + 4 || pixel(&small, 0, 2, y, x) != 77;
    CHECK(wrong == 0, "%d of 16 x 16 pixels", wrong);
    dataset_free(&large), dataset_free(&small);
}

static void test_refused_cifar(void)
{
    static const size_t cut[] = {1, 2, RECORD - 2, RECORD - 1, RECORD + 1, 2 * RECORD - 1,
                                 2 * RECORD + 1, 3 * RECORD - 1};
    static const unsigned char zeros[3 * RECORD] = {0};
    static const int fine[3] = {9, 0, 9}, ten[3] = {9, 10, 0}, most[3] = {0, 1, 255};
    size_t i;
    empty_folder("cifar");
    WRITE("cifar/data_batch_1.bin", "");
    REFUSE("cifar", "cifar/data_batch_1.bin", "cannot read");
    for (i = 0; i < sizeof cut / sizeof *cut; i++) {
        write_file("cifar/data_batch_1.bin", zeros, cut[i]);
        REFUSE("cifar", "cifar/data_batch_1.bin", "no whole number of records of 3073");
    }
    write_cifar("cifar/data_batch_1.bin", ten, 3, 0);
    REFUSE("cifar", "cifar/data_batch_1.bin", "label 10 in record 1 ");
    write_cifar("cifar/data_batch_1.bin", most, 3, 0);
    REFUSE("cifar", "cifar/data_batch_1.bin", "label 255 in record 2 ");
    write_cifar("cifar/data_batch_1.bin", fine, 3, 0);
    ACCEPT("cifar");
    write_file("cifar/data_batch_4.bin", zeros, RECORD - 1);
    REFUSE("cifar", "cifar/data_batch_4.bin", "3072 bytes");
}

/* ---- IDX ---- */

#define IMAGES "train-images-idx3-ubyte"
#define LABELS "train-labels-idx1-ubyte"
enum { IMAGE_MAGIC = 0x803, LABEL_MAGIC = 0x801 };

/* A file of big-endian numbers and then bytes. */
static void write_idx(const char *name, const unsigned *numbers, int n, const unsigned char *bytes,
                      size_t count)
{
    unsigned char *file = (unsigned char *)malloc(4 * (size_t)n + count + 1);
    int i;
    for (i = 0; i < 4 * n; i++) file[i] = (unsigned char)(numbers[i / 4] >> (24 - i % 4 * 8) & 255);
    for (i = 0; i < (int)count; i++) file[4 * n + i] = bytes[i];
    write_file(name, file, 4 * (size_t)n + count);
    free(file);
}

/* `count` bytes of pixels in the folder idx, and a header that says n x h x w. */
static void write_images(unsigned magic, unsigned n, unsigned h, unsigned w, size_t count)
{
    unsigned numbers[4];
    unsigned char *bytes = (unsigned char *)malloc(count + 1);
    size_t i;
    for (i = 0; i < count; i++) bytes[i] = byte_of(0, i);
    numbers[0] = magic, numbers[1] = n, numbers[2] = h, numbers[3] = w;
    write_idx("idx/" IMAGES, numbers, 4, bytes, count);
    free(bytes);
}

/* `count` labels 0, 1, ..., 9, 0, 1, ... and a header that says n. */
static void write_labels(unsigned magic, unsigned n, size_t count)
{
    unsigned numbers[2];
    unsigned char *bytes = (unsigned char *)malloc(count + 1);
    size_t i;
    for (i = 0; i < count; i++) bytes[i] = (unsigned char)(i % 10);
    numbers[0] = magic, numbers[1] = n;
    write_idx("idx/" LABELS, numbers, 2, bytes, count);
    free(bytes);
}

/* Three pictures of h x w, of which the middle square is kept, in three equal channels. */
static void check_idx(int h, int w)
{
    static const unsigned numbers[2] = {LABEL_MAGIC, 3};
    static const unsigned char labels[3] = {3, 0, 255};
    int side = h < w ? h : w, i, c, y, x, wrong = 0;
    dataset d;
    empty_folder("idx");
    write_images(IMAGE_MAGIC, 3, (unsigned)h, (unsigned)w, (size_t)(3 * h * w));
    write_idx("idx/" LABELS, numbers, 2, labels, 3);
    d = opened("idx", side);
    CHECK(d.n == 3 && d.classes == 256, "%d pictures, %d classes", d.n, d.classes);
    for (i = 0; d.n == 3 && i < 3; i++) {
        CHECK(d.labels[i] == labels[i], "label %d: %d", i, d.labels[i]);
        for (c = 0; c < 3; c++)
            for (y = 0; y < side; y++)
                for (x = 0; x < side; x++)
                    wrong += pixel(&d, i, c, y, x) !=
                             byte_of(0, (size_t)((i * h + y + (h - side) / 2) * w +
                                                 x + (w - side) / 2));
    }
    CHECK(wrong == 0, "%d x %d: %d pixels are wrong", h, w, wrong);
    CHECK(!strcmp(d.names[0], "0") && !strcmp(d.names[7], "7") && !strcmp(d.names[255], "255"),
          "%s, %s, %s", d.names[0], d.names[7], d.names[255]);
    dataset_free(&d);
}

/* So many pictures that memory for them grows twice, and that two bytes are needed to count. */
static void test_many_idx(void)
{
    dataset d;
    int i, wrong = 0;
    empty_folder("idx");
    write_images(IMAGE_MAGIC, 2500, 1, 1, 2500);
    write_labels(LABEL_MAGIC, 2500, 2500);
    d = opened("idx", 1);
    CHECK(d.n == 2500 && d.classes == 10, "%d pictures, %d classes", d.n, d.classes);
    for (i = 0; i < d.n && i < 2500; i++) {
        int byte = byte_of(0, (size_t)i);
        wrong += wrong_color(&d, i, byte, byte, byte) + (d.labels[i] != i % 10);
    }
    CHECK(wrong == 0, "%d are wrong", wrong);
    dataset_free(&d);
}

/* Both files, cut off after any number of bytes; and one byte too long. */
static void test_cut_idx(void)
{
    static const char *const names[2] = {"idx/" IMAGES, "idx/" LABELS};
    size_t which, length, whole, header;
    empty_folder("idx");
    write_images(IMAGE_MAGIC, 2, 2, 3, 12);
    write_labels(LABEL_MAGIC, 2, 2);
    ACCEPT("idx");
    for (which = 0; which < 2; which++) {
        unsigned char *bytes = file_bytes(names[which], &whole);
        header = which ? 8 : 16;
        for (length = 0; length <= whole + 1; length++) {
            if (length == whole) continue;
            write_file(names[which], bytes, length);
            REFUSE("idx", names[which], length == 0 ? "cannot read" :
                   length < header ? "is not an IDX file of" : "the same number of whole images");
        }
        write_file(names[which], bytes, whole);
        free(bytes);
    }
    ACCEPT("idx");
    remove(in_root("idx/" LABELS));
    REFUSE("idx", "idx/" LABELS, "cannot read");
}

/* Headers that begin, or count, otherwise than they should. */
static void test_refused_idx(void)
{
    static const unsigned magic[] = {LABEL_MAGIC, 0x802, 0x804, 0xD03, 0x1F8B0803, 0x03080000, 0};
    static const unsigned shape[][3] = {
        {1, 2, 3}, {3, 2, 3}, {2, 2, 2}, {2, 0, 3}, {2, 2, 0}, {0, 2, 3}, {2, 3, 3},
        {0xFFFFFFFF, 2, 3}, {2, 0xFFFFFFFF, 3}, {2, 2, 0x80000000}, {0x80000002, 2, 3},
        {2, 0xFFFFFFFE, 0xFFFFFFFD}, {2, 6, 0x80000001}, {1, 4097, 1}, {1, 1, 4097},
        {2, 0x40000000, 0x40000000}, {0x7FFFFFFF, 4096, 4096}};
    size_t i;
    empty_folder("idx");
    write_labels(LABEL_MAGIC, 2, 2);
    for (i = 0; i < sizeof magic / sizeof *magic; i++) {
        write_images(magic[i], 2, 2, 3, 12);
        REFUSE("idx", "idx/" IMAGES, "is not an IDX file of images");
    }
    for (i = 0; i < sizeof shape / sizeof *shape; i++) {
        size_t count = shape[i][0] == 1 && i > 0 ? 4097 : 12;
        write_labels(LABEL_MAGIC, shape[i][0], shape[i][0] < 4 ? shape[i][0] : 2);
        write_images(IMAGE_MAGIC, shape[i][0], shape[i][1], shape[i][2], count);
        REFUSE("idx", "idx/" IMAGES, "the same number of whole images and labels");
    }
    write_images(IMAGE_MAGIC, 65536, 256, 256, 0); /* 2^32 bytes: 0 where size_t has 32 bits */
    write_labels(LABEL_MAGIC, 65536, 65536);
    REFUSE("idx", "idx/" IMAGES, "the same number of whole images and labels");
    write_images(IMAGE_MAGIC, 2, 2, 3, 12);
    for (i = 1; i < 4; i += 2) {
        write_labels(LABEL_MAGIC, (unsigned)i, 2);
        REFUSE("idx", "idx/" LABELS, "the same number of whole images and labels");
        write_labels(LABEL_MAGIC, (unsigned)i, i);
        REFUSE("idx", "idx/" LABELS, "the same number of whole images and labels");
    }
    write_labels(IMAGE_MAGIC, 2, 2);
    REFUSE("idx", "idx/" LABELS, "is not an IDX file of labels");
    write_labels(0x1F8B0801, 2, 2);
    REFUSE("idx", "idx/" LABELS, "is not an IDX file of labels");
    write_labels(LABEL_MAGIC, 1, 1);
    for (i = 0; i < 2; i++) { /* the largest that are allowed */
        write_images(IMAGE_MAGIC, 1, i ? 1 : 4096, i ? 4096 : 1, 4096);
        ACCEPT("idx");
    }
}

/* ---- A folder for each class ---- */

/* Three classes; what is hidden, empty, or lies beside the folders is none. */
static void write_classes(void)
{
    empty_folder("classes");
    make_folder("classes/dogs"), make_folder("classes/cats"), make_folder("classes/Zebras");
    make_folder("classes/.git"), make_folder("classes/empty");
    WRITE("classes/readme.txt", "no picture");
    WRITE("classes/.git/config", "no picture");
    WRITE("classes/dogs/.DS_Store", "no picture");
    WRITE("classes/dogs/2.ppm", "P6 2 2 255\n\1\2\3\4\5\6\7\10\11\12\13\14");
    WRITE("classes/dogs/10.pgm", "P5 4 2 255\n\1\2\3\4\5\6\7\10");
    WRITE("classes/cats/a", "P3 2 5 15 0 0 0 0 0 0  1 2 3 4 5 6  7 8 9 10 11 12  "
                            "15 15 15 15 15 15  15 15 15 15 15 15");
    WRITE("classes/Zebras/gray.pgm", "P2 1 1 1000 500");
}

/* Classes and pictures come in the order of their names; of each picture the middle square, be it
   wide, high or small, with 255 for the maximum that its file gives. */
static void test_classes(void)
{
    static const char *const names[3] = {"Zebras", "cats", "dogs"};
    static const int labels[4] = {0, 1, 2, 2};
    static const int cat[12] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12};
    static const int wide[4] = {2, 3, 6, 7};
    dataset d;
    int i;
    write_classes();
    d = opened("classes", 2);
    CHECK(d.n == 4 && d.classes == 3, "%d pictures, %d classes", d.n, d.classes);
    if (d.n != 4) return;
    for (i = 0; i < 3; i++) CHECK(!strcmp(d.names[i], names[i]), "class %d: %s", i, d.names[i]);
    for (i = 0; i < 4; i++) CHECK(d.labels[i] == labels[i], "label %d: %d", i, d.labels[i]);
    CHECK(!wrong_color(&d, 0, 128, 128, 128), "127.5 became %d", d.pixels[0]);
    for (i = 0; i < 12; i++) {
        CHECK(d.pixels[12 + i] == 17 * cat[i], "high, %d: %d", i, d.pixels[12 + i]);
        CHECK(d.pixels[24 + i] == wide[i % 4], "wide, %d: %d", i, d.pixels[24 + i]);
        CHECK(d.pixels[36 + i] == i % 4 * 3 + i / 4 + 1, "color, %d: %d", i, d.pixels[36 + i]);
    }
    dataset_free(&d);
}

/* Pictures of 16 bits a sample; a class with a name longer than the room for it. */
static void test_odd_classes(void)
{
    char name[100] = "odd/", file[120];
    dataset d;
    memset(name + 4, 'x', 80);
    empty_folder("odd");
    make_folder(name), make_folder("odd/y");
    snprintf(file, sizeof file, "%s/16.ppm", name);
    WRITE(file, "P6 1 1 65535\n\xff\xff\x80\x80\0\0");
    WRITE("odd/y/1.pgm", "P5 1 1 255\n\xfe");
    d = opened("odd", 3);
    CHECK(d.n == 2 && d.classes == 2 && d.labels[0] == 0 && d.labels[1] == 1, "%d, %d", d.n,
          d.classes);
    CHECK(!wrong_color(&d, 0, 255, 128, 0) && !wrong_color(&d, 1, 254, 254, 254), "pixels");
    CHECK(strlen(d.names[0]) == 63 && strspn(d.names[0], "x") == 63, "%s", d.names[0]);
    CHECK(!strcmp(d.names[1], "y"), "%s", d.names[1]);
    dataset_free(&d);
}

/* A folder may hold several kinds: the first of CIFAR-10, IDX, pictures is taken. */
static void test_kinds(void)
{
    static const int label = 5;
    dataset d;
    write_classes();
    empty_folder("idx");
    write_images(IMAGE_MAGIC, 3, 4, 4, 48);
    write_labels(LABEL_MAGIC, 3, 3);
    rename(in_root("idx/" IMAGES), in_root("classes/" IMAGES));
    rename(in_root("idx/" LABELS), in_root("classes/" LABELS));
    d = opened("classes", 4);
    CHECK(d.n == 3 && d.classes == 3 && !strcmp(d.names[2], "2"), "%d of %d", d.n, d.classes);
    dataset_free(&d);
    write_cifar("classes/data_batch_1.bin", &label, 1, 0);
    d = opened("classes", 4);
    CHECK(d.n == 1 && d.classes == 10 && d.labels[0] == 5, "%d of %d", d.n, d.classes);
    dataset_free(&d);
}

static void test_refused_classes(void)
{
    const char *words = "no two folders with pictures in them";
    static const int label = 5;
    clear(in_root("few"));
    REFUSE("few", "few", words); /* no folder */
    WRITE("few", "P5 1 1 255\n.");
    REFUSE("few", "few", words); /* a file */
    empty_folder("few");
    REFUSE("few", "few", words);
    WRITE("few/1.pgm", "P5 1 1 255\n.");
    WRITE("few/2.pgm", "P5 1 1 255\n.");
    REFUSE("few", "few", words); /* pictures, but no classes */
    make_folder("few/a");
    WRITE("few/a/1.pgm", "P5 1 1 255\n.");
    WRITE("few/a/2.pgm", "P5 1 1 255\n.");
    REFUSE("few", "few", words); /* a single class */
    make_folder("few/b");
    REFUSE("few", "few", words); /* the second is empty */
    WRITE("few/b/.hidden", "P5 1 1 255\n.");
    REFUSE("few", "few", words);
    write_cifar("few/data_batch_2.bin", &label, 1, 0);
    REFUSE("few", "few", "no data_batch_1.bin"); /* the first batch is missing */
    WRITE("few/b/1.pgm", "P5 1 1 255\n.");
    ACCEPT("few");
}

static void test_refused_files(void)
{
    static const char whole[] = "P6 2 2 255\n123456789012";
    static const struct {
        const char *text, *words;
    } bad[] = {{"no picture", "is not a PNM"}, {"\x89PNG\r\n\x1a\n", "is not a PNM"},
               {"\xff\xd8\xff\xe0", "is not a PNM"}, {"P4 8 1 1", "is not a PNM"},
               {"P7\nWIDTH 1\n", "is not a PNM"}, {"P", "is not a PNM"}, {"", "is not a PNM"},
               {"P6 2 x 255\n", "a height that is no number"}, {"P2 1 1 5 6", "a sample above 5"},
               {"P5 0 4 255\n", "0 x 4"}, {"P5 1 1 70000\n..", "a maximum above 65535"},
               {"P5 2147483647 2147483647 255\n.", "cut off"}};
    size_t i;
    empty_folder("bad");
    make_folder("bad/a"), make_folder("bad/b");
    WRITE("bad/a/1.ppm", whole);
    WRITE("bad/b/1.ppm", whole);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file("bad/b/2.ppm", bad[i].text, strlen(bad[i].text));
        REFUSE("bad", "bad/b/2.ppm", bad[i].words);
    }
    for (i = 3; i < sizeof whole - 1; i++) {
        write_file("bad/b/2.ppm", whole, i);
        REFUSE("bad", "bad/b/2.ppm", "cut off");
    }
    write_file("bad/b/2.ppm", whole, i);
    ACCEPT("bad");
    remove(in_root("bad/b/2.ppm"));
    make_folder("bad/b/2.ppm");
    REFUSE("bad", "bad/b/2.ppm", "cannot read");
}

/* As many classes as there may be, and one more: 40 folders, and then 41, come to 960 classes that
   are there already. */
static void test_many_classes(void)
{
    char name[64], file[80];
    int i, wrong = 0;
    dataset d;
    empty_folder("many");
    for (i = 40; i >= 0; i--) {
        snprintf(name, sizeof name, "many/c%02d", i);
        make_folder(name);
        snprintf(file, sizeof file, "%s/1.pgm", name);
        WRITE(file, "P5 1 1 255\n.");
    }
    classes_before = EXAMPLE_CLASSES - 40;
    REFUSE("many", "many", "more than 1000 classes");
    clear(in_root("many/c40"));
    d = opened("many", 1);
    CHECK(d.n == 40 && d.classes == 1000, "%d pictures, %d classes", d.n, d.classes);
    for (i = 0; i < d.n && i < 40; i++) {
        snprintf(name, sizeof name, "c%02d", i);
        wrong += d.labels[i] != 960 + i || strcmp(d.names[960 + i], name) != 0 ||
                 wrong_color(&d, i, '.', '.', '.');
    }
    CHECK(wrong == 0, "%d classes are wrong", wrong);
    classes_before = 0;
    dataset_free(&d);
}

/* ---- Order ---- */

/* n pictures of 2 x 2; all bytes of picture i, and its label, are i. */
static dataset numbered(int n)
{
    dataset d = {0};
    d.side = 2;
    dataset_grow(&self, &d, n);
    for (d.n = 0; d.n < n; d.n++) {
        memset(d.pixels + 12 * d.n, d.n, 12);
        d.labels[d.n] = d.n;
    }
    return d;
}

/* The order of 100 pictures, shuffled from a seed; each is there, and beside its label. */
static void shuffled(uint64_t seed, int order[100])
{
    dataset d = numbered(100);
    cnv_rng rng = cnv_rng_seed(seed);
    int seen[100] = {0}, i, wrong = 0;
    dataset_shuffle(&d, &rng);
    for (i = 0; i < 100; i++) {
        order[i] = d.labels[i];
        wrong += wrong_color(&d, i, order[i], order[i], order[i]) + seen[order[i]]++;
    }
    CHECK(wrong == 0 && d.n == 100, "%d pictures are not beside their labels", wrong);
    dataset_free(&d);
}

static void test_shuffle(void)
{
    int one[100], again[100], other[100], i, stay = 0;
    shuffled(1, one), shuffled(1, again), shuffled(2, other);
    CHECK(!memcmp(one, again, sizeof one), "one seed, two orders");
    CHECK(memcmp(one, other, sizeof one), "two seeds, one order");
    for (i = 0; i < 100; i++) stay += one[i] == i;
    CHECK(stay < 10, "%d of 100 stay where they are", stay);
}

/* Each of the 6 orders of 3 pictures comes up 1000 times in 6000, give or take 29 (1 sigma). */
static void test_shuffle_is_fair(void)
{
    cnv_rng rng = cnv_rng_seed(3);
    int times[27] = {0}, i, orders = 0;
    for (i = 0; i < 6000; i++) {
        dataset d = numbered(3);
        dataset_shuffle(&d, &rng);
        times[9 * d.labels[0] + 3 * d.labels[1] + d.labels[2]]++;
        dataset_free(&d);
    }
    for (i = 0; i < 27; i++) {
        CHECK(times[i] == 0 || (times[i] > 855 && times[i] < 1145), "order %d: %d times", i,
              times[i]);
        orders += times[i] > 0;
    }
    CHECK(orders == 6, "%d orders", orders);
}

static void test_shuffle_of_few(void)
{
    cnv_rng rng = cnv_rng_seed(4);
    dataset none = {0}, one = numbered(1);
    none.side = 2;
    dataset_shuffle(&none, &rng);
    dataset_shuffle(&one, &rng);
    CHECK(none.n == 0 && one.n == 1 && one.labels[0] == 0 && !wrong_color(&one, 0, 0, 0, 0),
          "%d, %d", none.n, one.n);
    dataset_free(&none), dataset_free(&one);
}

/* ---- The Toybox ---- */

/* How many bytes of picture i, and whether its label, differ from the scene of that seed. */
static int wrong_scene(const dataset *d, int i, unsigned long long seed, const toy_options *options)
{
    static float rgb[3 * TOY_SIDE * TOY_SIDE];
    toy_scene scene = toy_make(seed, options);
    int k, bytes = (int)dataset_image_bytes(d), wrong = d->labels[i] != scene.class_id;
    for (k = 0; k < bytes; k++) rgb[k] = k % 2 ? NAN : 1e30f; /* overwritten, whatever it was */
    toy_render(&scene, d->side, rgb, NULL, NULL);
    for (k = 0; k < bytes; k++)
        wrong += !(fabs((double)rgb[k] * 255 - d->pixels[i * bytes + k]) <= 1e-3);
    return wrong;
}

static void test_toybox(void)
{
    static const int some[6] = {0, 1, 499, 500, 501, 502};
    const unsigned long long first = 1000000000000;
    int i, seen[TOY_CLASSES] = {0}, classes = 0;
    dataset d = {0};
    d.side = 8;
    dataset_toybox(&self, &d, first, 503, NULL);
    CHECK(d.n == 503 && d.classes == TOY_CLASSES, "%d scenes, %d classes", d.n, d.classes);
    for (i = 0; i < 6; i++)
        CHECK(!wrong_scene(&d, some[i], first + (unsigned)some[i], NULL), "scene %d", some[i]);
    for (i = 0; i < d.n; i++) seen[d.labels[i]]++;
    for (i = 0; i < TOY_CLASSES; i++) classes += seen[i] > 15;
    CHECK(classes == TOY_CLASSES, "only %d classes come up often", classes);
    for (i = 0; i < TOY_CLASSES; i++)
        CHECK(!strcmp(d.names[i], toy_class_names[i]), "%d: %s", i, d.names[i]);
    dataset_free(&d);
}

/* Leaves NaNs in the memory that the next function has its arrays in. */
static __attribute__((noinline)) void dirty_stack(void)
{
    volatile unsigned char junk[1 << 18];
    size_t i;
    for (i = 0; i < sizeof junk; i++) junk[i] = 0xFF;
}

/* Scenes come behind those that are there, at the networks' side, as the options say, and are the
   same whatever was in memory before. */
static void test_more_toybox(void)
{
    toy_options stars = toy_defaults();
    dataset d = {0};
    int i;
    d.side = TOY_SIDE, stars.class_id = TOY_STAR;
    dirty_stack();
    dataset_toybox(&self, &d, 70, 2, NULL);
    dirty_stack();
    dataset_toybox(&self, &d, 90, 3, &stars);
    CHECK(d.n == 5, "%d scenes", d.n);
    for (i = 0; d.n == 5 && i < 5; i++)
        CHECK(!wrong_scene(&d, i, (i < 2 ? 70u : 88u) + (unsigned)i, i < 2 ? NULL : &stars),
              "scene %d", i);
    CHECK(d.labels[2] == TOY_STAR && d.labels[4] == TOY_STAR, "%d", d.labels[2]);
    dataset_free(&d);
}

/* ---- What train.c makes of it ---- */

/* Batches hold bytes / 255; with an rng some pictures are mirrored, each as a whole. */
static void test_batch(void)
{
    static const int index[6] = {2, 0, 2, 1, 1, 0};
    dataset d = numbered(3);
    cnv_tensor images = {0};
    cnv_rng rng = cnv_rng_seed(5);
    int labels[6], i, k, mirror, mirrored = 0;
    for (i = 0; i < 36; i++) d.pixels[i] = byte_of(0, (size_t)i);
    CHECK(cnv_tensor_resize(&images, 6, 3, 2, 2), "%s", cnv_error());
    for (mirror = 0; mirror < 2; mirror++) {
        dataset_pick(&d, index, 6, mirror ? &rng : NULL, &images, labels);
        for (i = 0; i < 6; i++) {
            const unsigned char *from = d.pixels + 12 * index[i];
            const float *to = images.data + 12 * i;
            int flip = to[0] != (float)from[0] / 255, wrong = labels[i] != index[i];
            for (k = 0; k < 12; k++) wrong += to[k] != (float)from[flip ? k ^ 1 : k] / 255;
            CHECK(wrong == 0 && (mirror || !flip), "picture %d of the batch: %d", i, wrong);
            mirrored += flip;
        }
    }
    CHECK(mirrored > 0 && mirrored < 6, "%d of 6 are mirrored", mirrored);
    cnv_tensor_free(&images);
    dataset_free(&d);
}

static int changed_picture; /* the one that train_small inverts; -1: none */

/* Trains a small network on 36 of 40 pictures of 6 x 6, in 2 classes, and writes its weights. */
static void train_small(const char *name)
{
    static training h;
    example e = self;
    dataset d = {0};
    int x;
    size_t i;
    d.side = 6, d.classes = 2;
    dataset_grow(&e, &d, 40);
    for (d.n = 0; d.n < 40; d.n++) {
        unsigned char *to = d.pixels + d.n * 108;
        for (i = 0; i < 108; i++) to[i] = byte_of((size_t)d.n, i);
        d.labels[d.n] = d.n % 2;
        for (i = 0; d.n == changed_picture && i < 108; i++) to[i] = (unsigned char)~to[i];
    }
    e.classes = 2, e.seed = 1, e.net = cnv_net_new();
    x = cnv_relu(e.net, cnv_conv2d(e.net, cnv_input(e.net, 3), "conv", 4, 3, 1, 1));
    e.logits = cnv_linear(e.net, cnv_global_avg_pool(e.net, x), "logits", 4, 2);
    example_check(&e, e.logits > 0 && cnv_init(e.net, 1));
    train(&e, &d, 36, 640, 0.01, 0, &h);
    example_check(&e, cnv_save(e.net, in_root(name), NULL));
}

/* Weights depend on pictures 0 ... 35, and on no other. */
static void test_held_out(void)
{
    static const int changed[5] = {-1, 0, 35, 36, 39};
    unsigned char *bytes[5];
    size_t count[5];
    int i, status;
    for (i = 0; i < 5; i++) {
        changed_picture = changed[i];
        status = in_child(train_small, "small.safetensors");
        CHECK(status == 0, "exit status %d: %s", status, said);
        bytes[i] = file_bytes("small.safetensors", &count[i]);
        CHECK(count[i] > 400 && count[i] == count[0], "%zu bytes of weights", count[i]);
        remove(in_root("small.safetensors"));
    }
    for (i = 1; i < 5; i++)
        CHECK(!memcmp(bytes[0], bytes[i], count[0]) == (changed[i] >= 36),
              "picture %d is %s", changed[i], changed[i] < 36 ? "not learned from" : "learned");
    for (i = 0; i < 5; i++) free(bytes[i]);
}

/* ---- The record of a run ---- */

/* A run that never was: 5 points, 2 snapshots of 3 filters of 2 x 2 on gray pixels. */
static training some_run(void)
{
    training h;
    int i;
    memset(&h, 0, sizeof h);
    for (i = 0; i < 5; i++) training_note(&h, 1000.0 * i, 2.5 / (i + 1));
    for (h.snapshots = 0; h.snapshots < 2; h.snapshots++) {
        h.held_out_at[h.snapshots] = 4.0 * h.snapshots, h.held_out[h.snapshots] = 10 + h.snapshots;
        CHECK(cnv_tensor_resize(&h.filters[h.snapshots], 3, 1, 2, 2), "%s", cnv_error());
        for (i = 0; i < 12; i++) h.filters[h.snapshots].data[i] = (float)(i + 20 * h.snapshots) / 7;
    }
    return h;
}

static void load_run(const char *name)
{
    static training h;
    printf("own %d", training_load(&self, in_root(name), &h));
    exit(0);
}

/* What is saved is read again; a record is this network's own if it ends with its filters. */
static void test_record(void)
{
    static const char *const names[2] = {"bias", "conv.weight"};
    training h = some_run(), read;
    cnv_tensor weights[2] = {{0}}, picture = {0};
    char path[256];
    int i, status;
    snprintf(path, sizeof path, "%s", in_root("run.safetensors"));
    CHECK(!strcmp(training_path("a.b/net.safetensors"), "a.b/net.history.safetensors") &&
          !strcmp(training_path("a.b/net"), "a.b/net.history"), "%s", training_path("a.b/net"));
    CHECK(cnv_tensor_resize(&weights[0], 1, 3, 1, 1) &&
          cnv_tensor_copy(&h.filters[1], &weights[1]), "%s", cnv_error());
    cnv_tensor_fill(&weights[0], 1);
    training_save_record(&self, &h, training_path(path));
    CHECK(cnv_safetensors_save(path, names, weights, 2, NULL), "%s", cnv_error());
    memset(&read, 0, sizeof read);
    CHECK(training_load(&self, path, &read) == 1, "its own record");
    CHECK(read.points == 5 && read.snapshots == 2, "%d, %d", read.points, read.snapshots);
    for (i = 0; i < 5; i++)
        CHECK(read.images[i] == h.images[i] && fabs(read.loss[i] - h.loss[i]) < 1e-6, "%d", i);
    for (i = 0; i < 2; i++)
        CHECK(read.held_out_at[i] == h.held_out_at[i] && read.held_out[i] == h.held_out[i] &&
              read.filters[i].n == 3 && read.filters[i].w == 2 &&
              !memcmp(read.filters[i].data, h.filters[i].data, 12 * sizeof(float)), "%d", i);
    CHECK(training_picture(&read, &picture) && picture.w > 1000, "%s", cnv_error());
    training_free(&read), memset(&read, 0, sizeof read);
    weights[1].data[11] += 1e-6f;
    CHECK(cnv_safetensors_save(path, names, weights, 2, NULL), "%s", cnv_error());
    CHECK(training_load(&self, path, &read) == 0, "another network's record");
    training_free(&read);
    remove(training_path(path));
    status = in_child(load_run, "run.safetensors");
    CHECK(status == 1 && strstr(said, "run.history"), "no record: %d, %s", status, said);
    CHECK(cnv_safetensors_save(training_path(path), names, weights, 2, NULL), "%s", cnv_error());
    status = in_child(load_run, "run.safetensors");
    CHECK(status == 1 && strstr(said, "images"), "weights as a record: %d, %s", status, said);
    status = in_child(load_run, "absent.safetensors");
    CHECK(status == 1 && strstr(said, "absent"), "no weights: %d, %s", status, said);
    cnv_tensor_free(&picture), cnv_tensor_free(&weights[0]);
    cnv_tensor_free(&weights[1]), training_free(&h);
}

static void train_folder(const char *name)
{
    char data[256], weights[256], out[256];
    char *arguments[] = {"train", "--data", data, "--images", "64", "--seed", "3",
                         "--weights", weights, "--out", out, NULL};
    snprintf(data, sizeof data, "%s", in_root(name));
    snprintf(weights, sizeof weights, "%s", in_root("train.safetensors"));
    snprintf(out, sizeof out, "%s", in_root("train.ppm"));
    exit(train_main(11, arguments));
}

/* The whole program: a tenth of the pictures, and one, is held out; the class names are written.
   All pictures are alike, and so is the network's answer, whatever it learned: of the three that
   are held out it gets one or two right, since shuffled from this seed they are of both classes. */
static void test_train(void)
{
    const char *told = "accuracy on 3 held-out images: ", *at, *names;
    static const unsigned char record[3073];
    cnv_safetensors *file;
    char name[64];
    int i, status;
    empty_folder("pets");
    make_folder("pets/dogs"), make_folder("pets/cats");
    for (i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "pets/%s/%d.pgm", i % 2 ? "dogs" : "cats", i);
        WRITE(name, "P5 1 1 255\n.");
    }
    status = in_child(train_folder, "pets");
    CHECK(status == 0, "exit status %d: %s", status, said);
    at = strstr(said, told);
    if (at) at += strlen(told);
    CHECK(at && (!strncmp(at, "33.3 %", 6) || !strncmp(at, "66.7 %", 6)), "%s", said);
    file = cnv_safetensors_open(in_root("train.safetensors"));
    CHECK(file, "%s", cnv_error());
    names = file ? cnv_safetensors_metadata(file, "classes") : NULL;
    CHECK(names && !strcmp(names, "cats\ndogs"), "%s", names ? names : cnv_error());
    cnv_safetensors_close(file);
    status = in_child(load_run, "train.safetensors");
    CHECK(status == 0 && !strcmp(said, "own 1"), "its record: %d, %s", status, said);
    empty_folder("few"), make_folder("few/dogs"), make_folder("few/cats");
    WRITE("few/dogs/1.pgm", "P5 1 1 255\n."), WRITE("few/cats/1.pgm", "P5 1 1 255\n.");
    CHECK(in_child(train_folder, "few") == 0, "two pictures: %s", said);
    empty_folder("one");
    write_file("one/data_batch_1.bin", record, sizeof record);
    status = in_child(train_folder, "one");
    CHECK(status == 1 && strstr(said, "too few"), "exit status %d: %s", status, said);
    status = in_child(train_folder, "absent");
    CHECK(status == 1 && !strncmp(said, "train: \"", 8) && strstr(said, in_root("absent")),
          "exit status %d: %s", status, said);
}

int main(void)
{
    clear(root);
    CHECK(!mkdir(root, 0777), "cannot make %s: tests run where the folder build is", root);
    test_cifar();
    test_resized();
    test_refused_cifar();
    check_idx(4, 6), check_idx(7, 4), check_idx(5, 5), check_idx(1, 2);
    test_many_idx();
    test_cut_idx();
    test_refused_idx();
    test_classes();
    test_odd_classes();
    test_kinds();
    test_refused_classes();
    test_refused_files();
    test_many_classes();
    test_shuffle();
    test_shuffle_is_fair();
    test_shuffle_of_few();
    test_batch();
    test_held_out();
    test_record();
    test_train();
    test_toybox(); /* last, since it may begin threads, which children would lack */
    test_more_toybox();
    clear(root);
    return check_report();
}
