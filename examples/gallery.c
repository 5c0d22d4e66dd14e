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

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The order of the lectures ---- */

typedef struct {
    const char *name, *title;
    const char *options; /* for a run that takes minutes otherwise */
} lesson;

static const lesson lessons[] = {
    {"toybox", "The world", NULL},
    {"train", "Training", "--show examples/data/toynet.safetensors"},
    {"custom", "A network of one's own", NULL},
    {"filters", "Filters", NULL},
    {"activations", "Activations", NULL},
    {"top_images", "Images that excite a unit", NULL},
    {"top_patches", "Patches that excite a unit", NULL},
    {"receptive_field", "Receptive fields", NULL},
    {"random_directions", "Random directions", NULL},
    {"nearest", "Nearest neighbours", NULL},
    {"pca", "Principal components", NULL},
    {"tsne", "t-SNE", NULL},
    {"umap", "UMAP", NULL},
    {"correspondence", "Correspondence", NULL},
    {"attributes", "Accuracy by attribute", NULL},
    {"human_vs_net", "You against the network", NULL},
    {"occlusion", "Occlusion", NULL},
    {"saliency", "Saliency", NULL},
    {"deconvnet", "Deconvolutional network", NULL},
    {"guided_backprop", "Guided backpropagation", NULL},
    {"gradcam", "Grad-CAM", NULL},
    {"integrated_gradients", "Integrated gradients", NULL},
    {"smoothgrad", "SmoothGrad", NULL},
    {"lrp", "Layer-wise relevance", NULL},
    {"scorecam", "Score-CAM", NULL},
    {"compare", "All heatmaps, compared", NULL},
    {"sanity_check", "Sanity checks", NULL},
    {"tcav", "Concept vectors", NULL},
    {"dissection", "Network dissection", NULL},
    {"class_max", "Class maximization", NULL},
    {"feature_vis", "Feature visualization", "--weights examples/data/robust.safetensors"},
    {"building_blocks", "Building blocks",
     "--class car --weights examples/data/robust.safetensors"},
    {"deepdream", "DeepDream", "--class fish --weights examples/data/robust.safetensors"},
    {"inversion", "Inversion", NULL},
    {"fgsm", "Fast gradient sign", NULL},
    {"targeted", "Targeted attack", NULL},
    {"fooling", "Fooling images", NULL},
    {"transfer", "Transfer attack", NULL},
    {"physical", "Physical attack", NULL},
    {"texture", "Texture synthesis", NULL},
    {"style_transfer", "Style transfer", NULL},
    {"fast_style", "Fast style transfer", NULL},
};
enum { LESSONS = sizeof lessons / sizeof lessons[0] };

/* What stands in a comment, and what the page calls it. */
static const char *const fields[][2] = {{"Question", "Question"}, {"Formula", "Formula"},
                                        {"Look for", "Look for"}, {"Measured", "Measured"},
                                        {"Paper", "Paper"}};
enum { QUESTION, FORMULA, FIELDS = sizeof fields / sizeof fields[0] };

typedef struct {
    char name[64], title[64];
    char summary[256];           /* from the first line: "which pixels would change the answer?" */
    char field[FIELDS][2048];
    char compile[512];           /* the line that compiles it */
    char run[512];               /* the line that was run */
    char output[8192];           /* what it printed */
    double seconds;              /* of one processor's time */
    const char *options;
    char picture[96];            /* the file that it writes */
    FILE *said;                  /* what it prints, while it runs */
    pid_t process;
    int place;                   /* among the lessons */
    int status;                  /* 0, or what it exited with, or 128 + the signal that ended it */
    int w, h;                    /* of its picture; 0: there is none */
} exhibit;

/* ---- Reading an example's comment ---- */

/* Appends text to a field of `size` bytes, after `glue` if it is not the first. */
static void append(char *field, size_t size, const char *glue, const char *text)
{
    size_t length = strlen(field);
    snprintf(field + length, size - length, "%s%s", length ? glue : "", text);
}

/* Whether the comment names a field on this line: which one, or -1. */
static int field_of(const char *line)
{
    int i;
    for (i = 0; i < FIELDS; i++) {
        size_t length = strlen(fields[i][0]);
        if (!strncmp(line, "   ", 3) && !strncmp(line + 3, fields[i][0], length) &&
            (line[3 + length] == ' ' || !line[3 + length]))
            return i;
    }
    return -1;
}

/* One line of the comment. *field is the one that it may continue, -1: none. */
static void read_line(exhibit *e, char *line, int *field)
{
    size_t length = strcspn(line, "\r\n"), indent = strspn(line, " ");
    char *end = strstr(line, "*/");
    int named;
    if (end && (size_t)(end - line) < length) length = (size_t)(end - line);
    while (length && line[length - 1] == ' ') length--;
    line[length] = 0;
    named = field_of(line);
    if (named >= 0) *field = named;
    else if (indent < 14) *field = -1;
    if (*field >= 0 && length > 14)
        append(e->field[*field], sizeof e->field[0], *field == FORMULA ? "\n" : " ", line + 14);
    else if (indent < length && !strncmp(line + indent, "cc ", 3) && !e->compile[0])
        snprintf(e->compile, sizeof e->compile, "%s", line + indent);
}

/* The comment on top of examples/NAME.c. Returns 0 if there is no such file. */
static int read_comment(exhibit *e)
{
    char path[128], line[512], *dash;
    int field = -1, done = 0;
    FILE *file;
    snprintf(path, sizeof path, "examples/%s.c", e->name);
    file = fopen(path, "r");
    if (!file) return 0;
    if (fgets(line, sizeof line, file) && (dash = strstr(line, " - ")) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        snprintf(e->summary, sizeof e->summary, "%.*s", (int)sizeof e->summary - 1, dash + 3);
    }
    while (!done && fgets(line, sizeof line, file)) {
        done = strstr(line, "*/") != NULL;
        read_line(e, line, &field);
    }
    fclose(file);
    return 1;
}

/* Looks up the title and the place; an example that no lesson names comes last. */
static void find_lesson(exhibit *e)
{
    int i;
    e->options = "", e->place = LESSONS;
    for (i = 0; e->name[i]; i++) e->title[i] = e->name[i] == '_' ? ' ' : e->name[i];
    e->title[0] = (char)toupper((unsigned char)e->title[0]);
    for (i = 0; i < LESSONS; i++)
        if (!strcmp(lessons[i].name, e->name)) {
            e->place = i;
            snprintf(e->title, sizeof e->title, "%s", lessons[i].title);
            if (lessons[i].options) e->options = lessons[i].options;
        }
}

static int by_place(const void *a, const void *b)
{
    const exhibit *x = (const exhibit *)a, *y = (const exhibit *)b;
    return x->place != y->place ? x->place - y->place : strcmp(x->name, y->name);
}

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

/* ---- The page ---- */

/* Text as HTML: nothing in it is markup. */
static void put(FILE *page, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", page);
        else if (*text == '>') fputs("&gt;", page);
        else if (*text == '&') fputs("&amp;", page);
        else if (*text == '"') fputs("&quot;", page);
        else if (*text == '\'') fputs("&#39;", page);
        else if (*text == '\n' || *text == '\t' || (unsigned char)*text >= ' ') fputc(*text, page);
    }
}

/* before, text, after: the text escaped, the other two as they are. */
static void put_between(FILE *page, const char *before, const char *text, const char *after)
{
    fputs(before, page), put(page, text), fputs(after, page);
}

/* Line by line, so that what must be broken is indented. */
static void put_formula(FILE *page, const char *formula)
{
    char line[256];
    fputs("<pre>", page);
    while (*formula) {
        size_t length = strcspn(formula, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, formula);
        put_between(page, "<span>", line, "</span>");
        formula += length + (formula[length] != 0);
    }
    fputs("</pre></div>\n", page);
}

static void put_field(FILE *page, const exhibit *e, int i)
{
    if (!e->field[i][0] || i == QUESTION) return;
    fprintf(page, "<div%s><h3>%s</h3>", i == FORMULA ? " class=\"formula\"" : "", fields[i][1]);
    if (i == FORMULA) put_formula(page, e->field[i]);
    else put_between(page, "<p>", e->field[i], "</p></div>\n");
}

static void put_picture(FILE *page, const exhibit *e)
{
    if (!e->w) return;
    fputs("<button class=\"picture\" title=\"enlarge\"><img src=\"", page);
    put_between(page, "", e->name, ".png\" alt=\"");
    put_between(page, "", e->title, ": ");
    put(page, e->summary);
    fprintf(page, "\" width=\"%d\" height=\"%d\"></button>\n", e->w, e->h);
}

static void put_section(FILE *page, const exhibit *e)
{
    int i;
    put_between(page, "<section id=\"", e->name, "\">\n");
    put_between(page, "<h2>", e->title, "<small>examples/");
    put_between(page, "", e->name, ".c</small></h2>\n");
    put_between(page, "<p class=\"ask\">", e->field[QUESTION][0] ? e->field[QUESTION] : e->summary,
                "</p>\n");
    if (e->status)
        fprintf(page, "<p class=\"failed\">This program failed with exit status %d.</p>\n",
                e->status);
    fputs("<div class=\"sides\"><div class=\"shown\">", page);
    put_picture(page, e);
    fputs("</div><div class=\"side\">\n", page);
    for (i = 0; i < FIELDS; i++) put_field(page, e, i);
    if (e->compile[0]) put_between(page, "<div><h3>Try it</h3><pre>", e->compile, "</pre></div>\n");
    put_between(page, "</div></div>\n<div class=\"said\"><pre class=\"did\">$ ", e->run, "</pre>");
    put_between(page, "<pre>", e->output, "</pre>");
    fprintf(page, "<pre class=\"did\">%.1f seconds of one processor</pre></div>\n</section>\n",
            e->seconds);
}

/* Links to the notebooks' pages. Where `make notebooks` has not made one, a note is put. */
static void put_notebooks(FILE *page)
{
    static const char *const notebooks[][2] = {
        {"1_deep_visualization", "Deep visualization"},
        {"2_interpreting_what_convnets_learn", "Interpreting what convnets learn"},
        {"3_visualizing_and_understanding", "Visualizing and understanding"},
        {"4_visualizing_cnns", "Visualizing CNNs"},
        {"5_visualizing_neural_networks", "Visualizing and understanding neural networks"},
        {"6_from_loops_to_simd", "From seven loops to SIMD"},
    };
    char path[160];
    int i;
    for (i = 0; i < (int)(sizeof notebooks / sizeof *notebooks); i++) {
        FILE *file;
        snprintf(path, sizeof path, "build/notebooks/%s.html", notebooks[i][0]);
        if ((file = fopen(path, "r")) == NULL && (file = fopen(path, "w")) != NULL)
            fputs("<p>This page appears here after <code>make notebooks</code>.</p>\n", file);
        if (file) fclose(file);
        fputs(i ? ", " : "<p class=\"lead\">Notebooks: ", page);
        put_between(page, "<a href=\"../notebooks/", notebooks[i][0], ".html\">");
        put_between(page, "", notebooks[i][1], "</a>");
    }
    fputs(".</p>\n", page);
}

/* The first slide: what all this is, and a card for each technique. */
static void put_overview(FILE *page, const exhibit *e, int count)
{
    int i;
    fputs("<section id=\"overview\"><h1>What a convolutional network sees</h1>\n<p class=\"lead\">"
          "Every picture was made just now by one short C program each, on the small network that "
          "comes with them. Arrow keys turn the pages, f or a click enlarges a picture.</p>\n",
          page);
    put_notebooks(page);
    fputs("<div class=\"cards\">\n", page);
    for (i = 0; i < count; i++) {
        put_between(page, "<a class=\"card\" href=\"#", e[i].name, "\">");
        if (e[i].w) put_between(page, "<img src=\"", e[i].name, ".png\" alt=\"\">");
        put_between(page, "<b>", e[i].title, "</b>");
        put_between(page, "<span>", e[i].status ? "failed" : e[i].summary, "</span></a>\n");
    }
    fputs("</div></section>\n", page);
}

/* A file of examples/data, as it is. Returns 0 if it is not there. */
static int put_file(FILE *page, const char *path)
{
    FILE *file = fopen(path, "r");
    int c;
    if (!file) return 0;
    while ((c = fgetc(file)) != EOF) fputc(c, page);
    fclose(file);
    return 1;
}

static int write_page(const char *path, const exhibit *e, int count)
{
    FILE *page = fopen(path, "w");
    int i, ok;
    if (!page) return 0;
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>cnnvis: what a convolutional network sees</title>\n<style>\n", page);
    ok = put_file(page, "examples/data/gallery.css");
    fputs("</style></head><body>\n", page);
    put_overview(page, e, count);
    for (i = 0; i < count; i++) put_section(page, &e[i]);
    fputs("<nav><button id=\"back\" title=\"back (left arrow)\">&#8592;</button>"
          "<a id=\"count\" href=\"#overview\"></a>"
          "<button id=\"next\" title=\"next (right arrow)\">&#8594;</button></nav>\n"
          "<div id=\"large\"><img alt=\"\"></div>\n<script>\n", page);
    ok = put_file(page, "examples/data/gallery.js") && ok;
    fputs("</script></body></html>\n", page);
    ok = !ferror(page) && ok;
    return !fclose(page) && ok;
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
