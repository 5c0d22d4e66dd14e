/* Draws build/bench.png. */
#ifndef PICTURE_H
#define PICTURE_H

/* ---- The picture: bars of GFLOP/s for each layer, a panel for each instruction set ---- */

enum { PANEL_WIDTH = 1600, PANEL_HEIGHT = 480, HEADER = 104 };

static const cnv_color ink = {0.15f, 0.16f, 0.18f}, pale = {0.40f, 0.42f, 0.45f};
static const cnv_color bar_colors[] = {
    {0.00f, 0.45f, 0.70f}, {0.90f, 0.62f, 0.00f}, {0.00f, 0.62f, 0.45f}
};
static const char *const bar_names[] = {"forward", "backward-data", "backward-weights"};

/* "vgg_3_2" -> "3_2", "t_3_16@64" -> "3_16": the rest is said below. */
static void short_name(const conv_layer *l, char *text, size_t size)
{
    const char *from = strchr(l->name, '_');
    snprintf(text, size, "%s", from ? from + 1 : l->name);
    text[strcspn(text, "@")] = 0;
}

static void center_text(cnv_tensor *picture, double x, double y, double size, cnv_color color,
                        const char *text)
{
    cnv_text(picture, x - cnv_text_width(size, text) / 2, y, size, color, text);
}

/* Below the bars: the layers, and below those their families, each under a line. */
static void draw_names(const bench *b, const cnv_plot *plot, cnv_tensor *panel)
{
    double slot = (double)(plot->right - plot->left) / b->layer_count;
    int i, first;
    for (i = first = 0; i < b->layer_count; i++) {
        const conv_layer *l = conv_layers + b->layer[i];
        int end = i + 1 == b->layer_count ||
                  strcmp(l->family, conv_layers[b->layer[i + 1]].family) != 0;
        double left = plot->left + first * slot, right = plot->left + (i + 1) * slot;
        char text[64];
        short_name(l, text, sizeof text);
        center_text(panel, plot->left + (i + 0.375) * slot, plot->bottom + 10, 12, ink, text);
        if (!end) continue;
        snprintf(text, sizeof text, l->batch ? "%s, batch %d" : "%s", l->family, l->batch);
        cnv_rectangle(panel, (int)left + 6, plot->bottom + 31, (int)(right - left) - 20, 2, pale);
        center_text(panel, (left + right - 8) / 2, plot->bottom + 40, 12, pale, text);
        first = i + 1;
    }
}

/* The dashed line that no bar can cross, unless the machine's mood changed in between. */
static void draw_peak(const cnv_plot *plot, cnv_tensor *panel, double peak)
{
    double y = plot->bottom - peak / plot->y_high * (plot->bottom - plot->top);
    char text[64];
    int x;
    for (x = plot->left; x < plot->right; x += 16)
        cnv_rectangle(panel, x, (int)y - 1, plot->right - x < 10 ? plot->right - x : 10, 2, ink);
    snprintf(text, sizeof text, "FMA peak %.0f", peak);
    cnv_text(panel, plot->right - cnv_text_width(12, text), y - 20, 12, ink, text);
}

static void draw_panel(bench *b, int set, cnv_tensor *panel)
{
    double peak = median(b->peak[set], b->result_count), highest = peak;
    double heights[4 * CONV_LAYERS]; /* three bars and a gap for each layer */
    cnv_plot plot = {0};
    int i, k;
    for (i = 0; i < b->layer_count; i++)
        for (k = 0; k < 3; k++)
            if (b->bars[set][b->layer[i]][k] > highest) highest = b->bars[set][b->layer[i]][k];
    plot.title = b->sets[set]->name, plot.y_label = "GFLOP/s";
    plot.x_label = ""; /* leaves room for the families */
    plot.width = PANEL_WIDTH, plot.height = PANEL_HEIGHT, plot.y_high = 1.1 * highest;
    if (!cnv_plot_begin(&plot, panel)) fail("%s", cnv_error());
    for (k = 0; k < 3; k++) {
        for (i = 0; i < 4 * b->layer_count; i++)
            heights[i] = i % 4 == k ? b->bars[set][b->layer[i / 4]][k] : nan("");
        cnv_plot_bars(&plot, panel, heights, NULL, 4 * b->layer_count, bar_colors + k);
    }
    draw_peak(&plot, panel, peak);
    draw_names(b, &plot, panel);
}

static void draw_header(const bench *b, cnv_tensor *sheet)
{
    char text[160];
    int x = PANEL_WIDTH - 24, k, threads = cnv__threads();
    snprintf(text, sizeof text, "Convolution on %s, %d thread%s%s", b->cpu, threads,
             threads == 1 ? "" : "s", clock_note(b));
    cnv_text(sheet, 18, 26, 24, ink, text);
    snprintf(text, sizeof text, "Median speed of each layer, batch 1; backward-weights: batch %d",
             b->batch);
    cnv_text(sheet, 18, 70, 13, pale, text);
    for (k = 2; k >= 0; k--) {
        x -= (int)cnv_text_width(14, bar_names[k]);
        cnv_text(sheet, x, 69, 14, ink, bar_names[k]);
        x -= 24;
        cnv_rectangle(sheet, x, 68, 16, 16, bar_colors[k]);
        x -= 28;
    }
}

/* Returns the name of the file. */
static const char *save_picture(bench *b)
{
    static const cnv_color white = {1, 1, 1};
    cnv_tensor sheet = {0}, panel = {0};
    const char *path = "build/bench.png";
    int s;
    if (!cnv_canvas(&sheet, HEADER + PANEL_HEIGHT * b->set_count, PANEL_WIDTH, white))
        fail("%s", cnv_error());
    draw_header(b, &sheet);
    for (s = 0; s < b->set_count; s++) {
        draw_panel(b, s, &panel);
        cnv_paste(&sheet, &panel, 0, HEADER + s * PANEL_HEIGHT);
    }
    if (!cnv_image_save(path, &sheet) && !cnv_image_save(path = "build/bench.ppm", &sheet))
        fail("%s", cnv_error());
    cnv_tensor_free(&sheet);
    cnv_tensor_free(&panel);
    return path;
}

#endif
