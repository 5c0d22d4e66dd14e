/* exhibit.h: what the gallery shows of an example, read from the comment on top of its source; and
   where in the lectures it belongs. */
#ifndef EXHIBIT_H
#define EXHIBIT_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h> /* pid_t */

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
static inline void append(char *field, size_t size, const char *glue, const char *text)
{
    size_t length = strlen(field);
    snprintf(field + length, size - length, "%s%s", length ? glue : "", text);
}

/* Whether the comment names a field on this line: which one, or -1. */
static inline int field_of(const char *line)
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
static inline void read_line(exhibit *e, char *line, int *field)
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
static inline int read_comment(exhibit *e)
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
static inline void find_lesson(exhibit *e)
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

static inline int by_place(const void *a, const void *b)
{
    const exhibit *x = (const exhibit *)a, *y = (const exhibit *)b;
    return x->place != y->place ? x->place - y->place : strcmp(x->name, y->name);
}

#endif
