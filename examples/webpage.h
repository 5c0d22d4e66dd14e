/* webpage.h: the gallery's page: an overview, then a section for each exhibit. It needs nothing but
   the pictures beside it. */
#ifndef WEBPAGE_H
#define WEBPAGE_H

#include "exhibit.h"

/* Text as HTML: nothing in it is markup. */
static inline void put(FILE *page, const char *text)
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
static inline void put_between(FILE *page, const char *before, const char *text, const char *after)
{
    fputs(before, page), put(page, text), fputs(after, page);
}

/* Line by line, so that what must be broken is indented. */
static inline void put_formula(FILE *page, const char *formula)
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

static inline void put_field(FILE *page, const exhibit *e, int i)
{
    if (!e->field[i][0] || i == QUESTION) return;
    fprintf(page, "<div%s><h3>%s</h3>", i == FORMULA ? " class=\"formula\"" : "", fields[i][1]);
    if (i == FORMULA) put_formula(page, e->field[i]);
    else put_between(page, "<p>", e->field[i], "</p></div>\n");
}

static inline void put_picture(FILE *page, const exhibit *e)
{
    if (!e->w) return;
    fputs("<button class=\"picture\" title=\"enlarge\"><img src=\"", page);
    put_between(page, "", e->name, ".png\" alt=\"");
    put_between(page, "", e->title, ": ");
    put(page, e->summary);
    fprintf(page, "\" width=\"%d\" height=\"%d\"></button>\n", e->w, e->h);
}

static inline void put_section(FILE *page, const exhibit *e)
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
static inline void put_notebooks(FILE *page)
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
static inline void put_overview(FILE *page, const exhibit *e, int count)
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
static inline int put_file(FILE *page, const char *path)
{
    FILE *file = fopen(path, "r");
    int c;
    if (!file) return 0;
    while ((c = fgetc(file)) != EOF) fputc(c, page);
    fclose(file);
    return 1;
}

static inline int write_page(const char *path, const exhibit *e, int count)
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

#endif
