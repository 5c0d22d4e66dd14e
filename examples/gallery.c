/* gallery.c - runs the examples and makes a page of them, to click through in class.

       make gallery                               all of them; then open build/gallery/index.html
       build/make_gallery saliency gradcam        only these (make_gallery is this program)
       build/make_gallery --thumbs saliency       shrinks their pictures for README.md

   Each example is run as it is, with one thread: as many at a time as there are processors. What it
   prints is caught, and how much time of its processor it took. What the page says about it is read
   from the comment on top of its source: the line behind its name, the fields Question, Formula,
   Paper, Look for and Measured, and the line that compiles it. The page needs nothing but the
   pictures beside it. If an example fails the page says so, and so does the exit status.

       cc -O2 examples/gallery.c -o build/make_gallery -lm                                    */
#ifdef __has_include
#if __has_include(<stb/stb_image.h>)
#define STB_IMAGE_IMPLEMENTATION /* cnnvis.h reads PNG with it */
#include <stb/stb_image.h>
#endif
#endif
#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"
#include "webpage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Running them ---- */

/* The size of a PNG picture, which stands in its first 24 bytes; 0 x 0 if there is none. */
static void picture_size(const char *path, int *w, int *h)
{
    unsigned char b[24];
    FILE *file = fopen(path, "rb");
    *w = *h = 0;
    if (file && fread(b, 1, 24, file) == 24 && !memcmp(b + 1, "PNG", 3)) {
        *w = b[16] << 24 | b[17] << 16 | b[18] << 8 | b[19];
        *h = b[20] << 24 | b[21] << 16 | b[22] << 8 | b[23];
    }
    if (file) fclose(file);
}

/* Starts build/NAME with one thread; what it prints on both streams goes to a nameless file. */
static void start(exhibit *e)
{
    char *const command[] = {"sh", "-c", e->run, NULL};
    snprintf(e->picture, sizeof e->picture, "build/gallery/%s.png", e->name);
    snprintf(e->run, sizeof e->run, "build/%s%s%s --out %s", e->name, *e->options ? " " : "",
             e->options, e->picture);
    remove(e->picture);
    e->said = tmpfile();
    e->process = e->said ? fork() : -1;
    if (e->process) return;
    if (freopen("/dev/null", "r", stdin) && dup2(fileno(e->said), 1) >= 0 && dup2(1, 2) >= 0 &&
        !setenv("OMP_NUM_THREADS", "1", 1))
        execvp(*command, command);
    _exit(127);
}

/* Keeps what it printed, as far as there is room, and the time that it took. */
static void finish(exhibit *e, int status, const struct rusage *used)
{
    e->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    e->seconds = (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
                 1e-6 * (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
    rewind(e->said);
    e->output[fread(e->output, 1, sizeof e->output - 1, e->said)] = 0;
    fclose(e->said);
    picture_size(e->picture, &e->w, &e->h);
    if (e->status) printf(" failed with exit status %d: %s", e->status, e->output);
    else if (!e->w) printf(" wrote no picture\n");
    else printf(" %6.1f s\n", e->seconds);
    e->status = e->status ? e->status : !e->w;
}

/* Runs them all, one on each processor at a time; first the last lessons, which take longest.
   Returns how many failed. */
static int run(exhibit *exhibits, int count)
{
    int next = count, running = 0, done = 0, failed = 0, status, i;
    struct rusage used;
    pid_t ended;
    while (next || running) {
        if (next && (!running || running < sysconf(_SC_NPROCESSORS_ONLN))) {
            start(&exhibits[--next]);
            if (exhibits[next].process > 0) running++;
            else exhibits[next].status = 127, failed++, perror(exhibits[next].name);
            continue;
        }
        ended = wait4(-1, &status, 0, &used);
        for (i = next; i < count; i++)
            if (exhibits[i].process == ended && ended > 0) {
                printf("%2d/%d  %-22s", ++done, count, exhibits[i].name);
                finish(&exhibits[i], status, &used);
                failed += exhibits[i].status != 0, running--;
            }
        fflush(stdout);
    }
    return failed;
}
/* ---- Small pictures for README.md ---- */

#if defined STBI_VERSION && defined INCLUDE_STB_IMAGE_WRITE_H
enum { THUMB_WIDTH = 420, THUMB_BYTES = 30000 };

static void count_bytes(void *count, void *data, int size)
{
    (void)data;
    *(int *)count += size;
}

/* build/gallery/NAME.png -> examples/data/NAME.jpg, 420 pixels wide, in at most 30000 bytes. */
static int write_thumb(const char *name)
{
    char path[160];
    cnv_tensor picture = {0}, small = {0};
    unsigned char *rgb = NULL;
    int i, c, plane, bytes, quality = 95, ok;
    snprintf(path, sizeof path, "build/gallery/%s.png", name);
    ok = cnv_image_load(path, &picture) &&
         cnv_resize(&picture, picture.h * THUMB_WIDTH / picture.w, THUMB_WIDTH, &small);
    plane = small.h * small.w;
    ok = ok && (rgb = (unsigned char *)malloc(3 * (size_t)plane)) != NULL;
    for (i = 0; ok && i < plane; i++)
        for (c = 0; c < 3; c++) {
            float value = small.data[(small.c == 3 ? c : 0) * plane + i];
            rgb[3 * i + c] = (unsigned char)(255 * value + 0.5f);
        }
    do {
        quality -= 5, bytes = 0;
        ok = ok && stbi_write_jpg_to_func(count_bytes, &bytes, small.w, small.h, 3, rgb, quality);
    } while (ok && bytes > THUMB_BYTES && quality > 20);
    snprintf(path, sizeof path, "examples/data/%s.jpg", name);
    ok = ok && stbi_write_jpg(path, small.w, small.h, 3, rgb, quality);
    printf("%-22s %s\n", name, ok ? path : cnv_error());
    free(rgb), cnv_tensor_free(&picture), cnv_tensor_free(&small);
    return ok;
}
#else
static int write_thumb(const char *name)
{
    printf("%s: shrinking needs the stb headers; `make deps` installs them\n", name);
    return 0;
}
#endif

int main(int argc, char **argv)
{
    int i, count = 0, failed = 0, thumbs = argc > 1 && !strcmp(argv[1], "--thumbs");
    exhibit *exhibits = (exhibit *)calloc((size_t)argc + 1, sizeof *exhibits);
    if (argc < 2 || !exhibits) {
        fprintf(stderr, "usage: %s [--thumbs] saliency gradcam ...\n", argv[0]);
        return 1;
    }
    for (i = 1 + thumbs; i < argc; i++) {
        exhibit *e = &exhibits[count];
        snprintf(e->name, sizeof e->name, "%s", argv[i]);
        if (thumbs) failed += !write_thumb(e->name);
        else if (read_comment(e)) find_lesson(e), count++;
        else printf("%s: there is no examples/%s.c\n", e->name, e->name), failed++;
    }
    if (thumbs) return free(exhibits), failed != 0;
    qsort(exhibits, (size_t)count, sizeof *exhibits, by_place);
    failed += run(exhibits, count);
    if (!write_page("build/gallery/index.html", exhibits, count)) {
        fprintf(stderr, "cannot write build/gallery/index.html\n");
        failed++;
    } else
        printf("%d examples, %d failed; see build/gallery/index.html\n", count, failed);
    free(exhibits);
    return failed != 0;
}
