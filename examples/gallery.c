/* gallery.c - runs the examples and makes a page of them, to click through in class.

       make gallery                               all of them; then open build/gallery/index.html
       build/make_gallery saliency gradcam        only these (make_gallery is this program)
       build/make_gallery --thumbs saliency       shrinks their pictures for README.md

   Each example is run as it is, timed, and what it prints is caught. What the page says about it is
   read from the comment on top of its source: the line behind its name, the fields Question,
   Formula, Paper, Look for and Measured, and the line that compiles it. The page needs nothing but
   the pictures beside it. If an example fails the page says so, and so does the exit status.

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
#include <sys/wait.h> /* what the status that pclose() returns means */
#include <time.h>

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
    {"compare", "All heatmaps, compared", "--scenes 100"},
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
    double seconds;
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
static void find_lesson(exhibit *e, const char **options)
{
    int i;
    *options = "";
    e->place = LESSONS;
    for (i = 0; e->name[i]; i++) e->title[i] = e->name[i] == '_' ? ' ' : e->name[i];
    e->title[0] = (char)toupper((unsigned char)e->title[0]);
    for (i = 0; i < LESSONS; i++)
        if (!strcmp(lessons[i].name, e->name)) {
            e->place = i;
            snprintf(e->title, sizeof e->title, "%s", lessons[i].title);
            if (lessons[i].options) *options = lessons[i].options;
        }
}

static int by_place(const void *a, const void *b)
{
    const exhibit *x = (const exhibit *)a, *y = (const exhibit *)b;
    return x->place != y->place ? x->place - y->place : strcmp(x->name, y->name);
}

/* ---- Running it ---- */

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

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

/* Runs build/NAME and keeps what it prints on both streams, as far as there is room. */
static void run(exhibit *e)
{
    char picture[160], command[600], rest[256];
    const char *options;
    double start = seconds_now();
    size_t count = 0;
    FILE *pipe;
    find_lesson(e, &options);
    snprintf(picture, sizeof picture, "build/gallery/%s.png", e->name);
    snprintf(e->run, sizeof e->run, "build/%s%s%s --out %s", e->name, *options ? " " : "", options,
             picture);
    snprintf(command, sizeof command, "%s 2>&1 </dev/null", e->run);
    remove(picture);
    printf("%-22s", e->name), fflush(stdout);
    pipe = popen(command, "r");
    if (pipe) {
        count = fread(e->output, 1, sizeof e->output - 1, pipe);
        while (fread(rest, 1, sizeof rest, pipe)) continue;
        e->status = pclose(pipe);
        e->status = WIFEXITED(e->status) ? WEXITSTATUS(e->status) : 128 + WTERMSIG(e->status);
    } else
        e->status = 127;
    e->output[count] = 0;
    e->seconds = seconds_now() - start;
    picture_size(picture, &e->w, &e->h);
    if (e->status) printf(" failed with exit status %d: %s", e->status, e->output);
    else if (!e->w) printf(" wrote no picture\n");
    else printf(" %6.1f s\n", e->seconds);
    e->status = e->status ? e->status : !e->w;
}

/* ---- The page ---- */

static const char *const style[] = {
    ":root { color-scheme: light dark; --back: #fbfaf8; --card: #fff; --ink: #1d1e22;",
    "  --dim: #63666f; --line: #e3e0da; --mark: #b3401f; --code: #f3f0ea; }",
    "@media (prefers-color-scheme: dark) { :root { --back: #16171a; --card: #1e2024;",
    "  --ink: #ecebe8; --dim: #a3a6ad; --line: #34363c; --mark: #ff9a6b; --code: #232529; } }",
    "* { box-sizing: border-box; margin: 0; }",
    "html { scroll-snap-type: y proximity; scroll-padding: 0; }",
    "body { background: var(--back); color: var(--ink);",
    "  font: clamp(15px, 0.55vw + 10px, 24px)/1.4 system-ui, 'Helvetica Neue', sans-serif; }",
    "section { min-height: 100vh; padding: 2.2em 3.2em 3em; scroll-snap-align: start;",
    "  border-bottom: 1px solid var(--line); display: flex; flex-direction: column; }",
    "h1, h2 { font-weight: 650; letter-spacing: -0.02em; line-height: 1.1; }",
    "h1 { font-size: 3.2em; } h2 { font-size: 2.3em; }",
    "h2 small { font: 0.42em ui-monospace, Menlo, Consolas, monospace; color: var(--dim);",
    "  letter-spacing: 0; margin-left: 0.7em; }",
    ".ask { font-size: 1.3em; line-height: 1.35; color: var(--mark); margin: 0.35em 0 1em;",
    "  max-width: 62em; }",
    ".lead { font-size: 1.2em; color: var(--dim); max-width: 46em; margin: 0.8em 0 1.8em; }",
    ".sides { display: flex; gap: 2.4em; align-items: start; flex: 1; }",
    ".shown { flex: 0 1 auto; max-width: 64%; } .shown:empty { display: none; }",
    ".side { display: flex; flex-direction: column; gap: 1.1em; flex: 1 1 0; min-width: 0; }",
    "button.picture { all: unset; display: block; cursor: zoom-in; background: #fff;",
    "  padding: 0.5em; border: 1px solid var(--line); border-radius: 10px; width: fit-content;",
    "  max-width: 100%; }",
    "button.picture:focus-visible, .card:focus-visible { outline: 3px solid var(--mark); }",
    "button.picture img { display: block; max-width: 100%; max-height: 74vh; width: auto;",
    "  height: auto; }",
    "h3 { font-size: 0.72em; font-weight: 650; letter-spacing: 0.09em; text-transform: uppercase;",
    "  color: var(--dim); margin-bottom: 0.25em; }",
    "pre { font: 0.82em/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap;",
    "  overflow-wrap: anywhere; }",
    ".formula pre { font-size: 0.9em; background: var(--code); border-left: 4px solid var(--mark);",
    "  border-radius: 0 8px 8px 0; padding: 0.7em 0.9em; }",
    ".formula span { display: block; padding-left: 2ch; text-indent: -2ch; }",
    ".said { margin-top: 1.4em; background: var(--code); border-radius: 8px;",
    "  padding: 0.8em 1.1em; }",
    ".said pre { white-space: pre; overflow-x: auto; }",
    ".said .did { color: var(--dim); white-space: pre-wrap; margin-bottom: 0.6em; }",
    ".failed { color: #fff; background: #b3261e; border-radius: 8px; padding: 0.7em 1em;",
    "  margin-bottom: 1em; font-weight: 600; }",
    ".cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(13em, 1fr));",
    "  gap: 1.2em; }",
    ".card { color: inherit; text-decoration: none; background: var(--card); border-radius: 10px;",
    "  border: 1px solid var(--line); overflow: hidden; }",
    ".card:hover { border-color: var(--mark); }",
    ".card img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover;",
    "  object-position: top left; background: #fff; border-bottom: 1px solid var(--line); }",
    ".card b { display: block; padding: 0.5em 0.8em 0; } .card span { display: block;",
    "  padding: 0 0.94em 0.8em; color: var(--dim); font-size: 0.85em; line-height: 1.3; }",
    "nav { position: fixed; right: 1em; bottom: 0.8em; display: flex; align-items: center;",
    "  gap: 0.2em; background: var(--card); border: 1px solid var(--line); border-radius: 99px;",
    "  padding: 0.1em 0.4em; color: var(--dim); font-size: 0.85em; z-index: 1; }",
    "nav button { all: unset; cursor: pointer; padding: 0.25em 0.6em; } nav a { color: inherit;",
    "  text-decoration: none; min-width: 4em; text-align: center; }",
    "#large { display: none; position: fixed; inset: 0; background: #fff; z-index: 2;",
    "  cursor: zoom-out; padding: 1vmin; }",
    "#large img { width: 100%; height: 100%; object-fit: contain; }",
    "#large.open { display: block; }",
    "@media (max-width: 900px) { section { padding: 1.4em; } .sides { flex-direction: column; }",
    "  .shown { max-width: 100%; } h1 { font-size: 2.2em; } }",
    "@media print { nav { display: none; } section { break-after: page; min-height: 0; } }",
    NULL};

static const char *const script[] = {
    "const slides = [...document.querySelectorAll('section')];",
    "const large = document.getElementById('large'), count = document.getElementById('count');",
    "let at = Math.max(0, slides.findIndex(s => '#' + s.id === location.hash));",
    "const picture = s => s.querySelector('button.picture img');",
    "function note() {",
    "  count.textContent = at ? at + ' / ' + (slides.length - 1) : 'overview';",
    "  if (location.hash !== '#' + slides[at].id)",
    "    history.replaceState(null, '', '#' + slides[at].id);",
    "}",
    "function go(to) {",
    "  at = Math.max(0, Math.min(slides.length - 1, to));",
    "  slides[at].scrollIntoView();",
    "  if (large.className) enlarge();",
    "  note();",
    "}",
    "function enlarge() {",
    "  const from = picture(slides[at]), to = large.firstElementChild;",
    "  large.className = from ? 'open' : '';",
    "  if (from) to.src = from.src, to.alt = from.alt;",
    "}",
    "function shrink() { large.className = ''; }",
    "slides.forEach((s, i) => { const p = s.querySelector('button.picture');",
    "  if (p) p.onclick = () => { at = i; enlarge(); note(); }; });",
    "large.onclick = shrink;",
    "document.getElementById('back').onclick = () => go(at - 1);",
    "document.getElementById('next').onclick = () => go(at + 1);",
    "addEventListener('hashchange', () => {",
    "  const i = slides.findIndex(s => '#' + s.id === location.hash);",
    "  if (i >= 0) at = i, note();",
    "});",
    "addEventListener('keydown', e => {",
    "  if (e.ctrlKey || e.metaKey || e.altKey) return;",
    "  const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[e.key];",
    "  if (step) go(at + step);",
    "  else if (e.key === 'Home') go(0);",
    "  else if (e.key === 'End') go(slides.length - 1);",
    "  else if (e.key === 'Escape') shrink();",
    "  else if (e.key === 'f') large.className ? shrink() : enlarge();",
    "  else return;",
    "  e.preventDefault();",
    "});",
    "let waiting = 0; /* where scrolling by hand has led */",
    "addEventListener('scroll', () => {",
    "  clearTimeout(waiting);",
    "  waiting = setTimeout(() => {",
    "    if (large.className) return;",
    "    const middle = innerHeight / 2;",
    "    const i = slides.findIndex(s => s.getBoundingClientRect().bottom > middle);",
    "    if (i >= 0) at = i, note();",
    "  }, 120);",
    "});",
    "note();",
    NULL};

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
    fprintf(page, "<pre class=\"did\">%.1f seconds</pre></div>\n</section>\n", e->seconds);
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

static int write_page(const char *path, const exhibit *e, int count)
{
    FILE *page = fopen(path, "w");
    int i;
    if (!page) return 0;
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>cnnvis: what a convolutional network sees</title>\n<style>\n", page);
    for (i = 0; style[i]; i++) fprintf(page, "%s\n", style[i]);
    fputs("</style></head><body>\n", page);
    put_overview(page, e, count);
    for (i = 0; i < count; i++) put_section(page, &e[i]);
    fputs("<nav><button id=\"back\" title=\"back (left arrow)\">&#8592;</button>"
          "<a id=\"count\" href=\"#overview\"></a>"
          "<button id=\"next\" title=\"next (right arrow)\">&#8594;</button></nav>\n"
          "<div id=\"large\"><img alt=\"\"></div>\n<script>\n", page);
    for (i = 0; script[i]; i++) fprintf(page, "%s\n", script[i]);
    fputs("</script></body></html>\n", page);
    return !(ferror(page) + fclose(page));
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
    const char *options;
    if (argc < 2 || !exhibits) {
        fprintf(stderr, "usage: %s [--thumbs] saliency gradcam ...\n", argv[0]);
        return 1;
    }
    for (i = 1 + thumbs; i < argc; i++) {
        exhibit *e = &exhibits[count];
        snprintf(e->name, sizeof e->name, "%s", argv[i]);
        if (thumbs) failed += !write_thumb(e->name);
        else if (read_comment(e)) find_lesson(e, &options), count++;
        else printf("%s: there is no examples/%s.c\n", e->name, e->name), failed++;
    }
    if (thumbs) return free(exhibits), failed != 0;
    qsort(exhibits, (size_t)count, sizeof *exhibits, by_place);
    for (i = 0; i < count; i++) run(&exhibits[i]), failed += exhibits[i].status != 0;
    if (!write_page("build/gallery/index.html", exhibits, count)) {
        fprintf(stderr, "cannot write build/gallery/index.html\n");
        failed++;
    } else
        printf("%d examples, %d failed; see build/gallery/index.html\n", count, failed);
    free(exhibits);
    return failed != 0;
}
