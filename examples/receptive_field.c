/* receptive_field.c - how much of what it could see does a neuron look at?

   Question   Kernels and strides say which pixels can reach a neuron at all. Which of them do?
   Formula    D(p) = |a(x) - a(x with a random patch at p)|, a: the neuron of a feature map with its
              greatest activation in picture x; averaged over the best pictures of several maps,
              each moved so that the neuron is in the middle
              actual field = the smallest area with 90% of the sum of D
   Paper      Zhou, Khosla, Lapedriza, Oliva, Torralba: Object Detectors Emerge in Deep Scene CNNs
              (2015), section 3.2: patches of 11 pixels in pictures of 227, at every third pixel;
              here 3 in 64, at 13 x 13 places all over the theoretical field
   Look for   A blob that fills the theoretical field, the white box, less and less the deeper the
              layer is: many paths lead from the middle to the neuron, few from the rim.
   Measured   actual over theoretical area < .8 in the deep layers. An even map would have .9

       cc -O2 examples/receptive_field.c -o build/receptive_field -lm && build/receptive_field

   Own options: --patch SIDE in pixels, --units N to average over (6), --images N to search (500),
   --data FOLDER of pictures.                                                                     */
#include "panel.h"
#include "units.h"

enum { RECEPTIVE_STEPS = 13, RECEPTIVE_PLACES = RECEPTIVE_STEPS * RECEPTIVE_STEPS };

/* Noise on a square of the image [1,C,H,W] with its middle at (x,y), cut off at the border. */
static void receptive_patch(cnv_tensor *image, int x, int y, int side, cnv_rng *rng)
{
    int c, i, u, v;
    for (i = 0; i < side * side; i++) {
        u = x - side / 2 + i % side, v = y - side / 2 + i / side;
        for (c = 0; c < image->c && u >= 0 && v >= 0 && u < image->w && v < image->h; c++)
            cnv_tensor_channel(image, 0, c).data[v * image->w + u] = (float)cnv_uniform(rng);
    }
}

/* D of an image [1,C,H,W] for channel k of a node at (hit.y, hit.x), at places all over its field:
   adds it, divided by its mean, to channel 0 of sum [1,2,STEPS,STEPS], and 1 to channel 1 where a
   place is on the image. Returns how many images that took, 0 with cnv_error(). */
static int receptive_field(cnv_net *net, int node, int k, units_hit hit, const cnv_tensor *image,
                           int side, cnv_rng *rng, cnv_tensor *sum)
{
    enum { STEPS = RECEPTIVE_STEPS, PLACES = RECEPTIVE_PLACES };
    const cnv_tensor *a = &net->nodes[node].out;
    cnv_tensor batch = {0}, one, some;
    int i, j, n, all = 0, place[STEPS], ok;
    float change[PLACES] = {0}, mean = 1e-30f, before;
    units_box box;
    ok = cnv_forward(net, image, node) &&
         cnv_tensor_resize(&batch, STEPS, image->c, image->h, image->w);
    before = ok ? cnv_tensor_channel(a, 0, k).data[hit.y * a->w + hit.x] : 0;
    box = units_field(net, node, hit.y, hit.x, 1);
    for (i = 0; ok && i < STEPS; i++) { /* a batch for each row of places */
        for (j = n = 0; ok && j < STEPS; j++) {
            int x = (int)floor(box.x + (j + 0.5) * box.w / STEPS);
            int y = (int)floor(box.y + (i + 0.5) * box.h / STEPS);
            if (x < 0 || y < 0 || x >= image->w || y >= image->h) continue;
            place[n] = i * STEPS + j, one = cnv_tensor_image(&batch, n++);
            ok = cnv_tensor_copy(image, &one);
            receptive_patch(&one, x, y, side, rng);
        }
        some = cnv_tensor_view(batch.data, n, image->c, image->h, image->w);
        ok = ok && (!n || cnv_forward(net, &some, node));
        for (j = 0; ok && j < n; j++, all++) {
            change[place[j]] = cnv_tensor_channel(a, j, k).data[hit.y * a->w + hit.x] - before;
            mean += fabsf(change[place[j]]), sum->data[PLACES + place[j]] += 1;
        }
    }
    for (i = 0; i < PLACES; i++) sum->data[i] += fabsf(change[i]) * (float)all / mean;
    cnv_tensor_free(&batch);
    return ok ? all : 0;
}

#ifndef EXAMPLE_NO_MAIN
enum { LAYERS = 4, UNITS = 64, TOP = 3 };

/* Above: the mean map in the theoretical field, beside the size of a picture. Below: a unit's best
   picture, darker outside of the actual field. */
static void receptive_show(const example *e, const dataset *d, int node, int unit, units_hit hit,
                           const cnv_tensor *mean, int index, panel_sheet *sheet)
{
    static const cnv_color yellow = {1, 0.85f, 0.1f}, dark = {0.16f, 0, 0.2f};
    units_box field = units_field(e->net, node, hit.y, hit.x, 1);
    units_box box = units_scaled(field, d->side, PANEL_SIDE), middle = box;
    cnv_tensor tile = {0}, rgb = {0}, large = {0};
    double low, high, level, share = units_area(mean, 0.9, &level);
    char text[128], note[64];
    middle.x = (PANEL_SIDE - box.w) / 2, middle.y = (PANEL_SIDE - box.h) / 2;
    cnv_range(mean, &low, &high);
    example_check(e, cnv_canvas(&tile, PANEL_SIDE, PANEL_SIDE, dark) &&
                     cnv_resize(mean, box.h, box.w, &large) &&
                     cnv_colorize(&large, CNV_MAP_VIRIDIS, 0, high, &rgb));
    cnv_paste(&tile, &rgb, middle.x, middle.y), units_frame(&tile, middle, 3);
    snprintf(text, sizeof text, "%s: %d x %d pixels", e->net->nodes[node].name, field.w, field.h);
    snprintf(note, sizeof note, "90%% of the effect comes from %.0f%% of them", 100 * share);
    example_check(e, panel_picture(sheet, index, &tile, text, note));
    units_thumbnail(e, d, hit.picture, PANEL_SIDE, &tile);
    example_check(e, units_outline(&tile, box, mean, level, yellow));
    units_frame(&tile, box, 3);
    snprintf(text, sizeof text, "where unit %d looks in its best picture", unit);
    example_check(e, panel_picture(sheet, index + sheet->columns, &tile, text, ""));
    cnv_tensor_free(&tile), cnv_tensor_free(&rgb), cnv_tensor_free(&large);
    printf("%s: theory %d x %d, actual %.2f of that area\n", e->net->nodes[node].name, field.w,
           field.h, share);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "what part of its receptive field a neuron uses", NULL,
                              "patch,units,images,data");
    int side = (int)example_number(&e, "patch", e.model->side / 20, 1, e.model->side);
    int most = (int)example_number(&e, "units", 6, 1, UNITS);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 500, 1, 1e6));
    int node[LAYERS], unit[UNITS], i, j, n = units_layers(e.net, 0, LAYERS, node), all, images = 0;
    panel_sheet sheet = {{0}, 0};
    cnv_tensor image = {0}, sum = {0}, mean;
    cnv_rng rng = cnv_rng_seed(e.seed);
    units u[LAYERS];
    double start;
    if (example_text(&e, "layer", NULL)) n = 1, node[0] = e.layer;
    units_search(&e, &d, node, n, TOP, u);
    example_check(&e, panel_begin(&sheet, n, 2, "What can reach a neuron, and what does") &&
                      cnv_tensor_resize(&sum, 1, 2, RECEPTIVE_STEPS, RECEPTIVE_STEPS));
    for (start = example_seconds(), i = 0; i < n; i++) {
        cnv_tensor_fill(&sum, 0);
        all = units_pick(&e, &d, &u[i], unit, most) * u[i].count;
        if (!all) example_fail(&e, "no picture excites a channel of %s more than others do",
                               e.net->nodes[node[i]].name);
        for (j = 0; j < all; j++) {
            int k = unit[j / u[i].count], took;
            units_hit hit = units_of(&u[i], k)[j % u[i].count];
            dataset_batch(&e, &d, hit.picture, 1, &image);
            took = receptive_field(e.net, node[i], k, hit, &image, side, &rng, &sum);
            example_check(&e, took), images += took;
            example_progress("covering", i * all + j + 1, n * all, start);
        }
        for (j = 0; j < RECEPTIVE_PLACES; j++)
            sum.data[j] /= fmaxf(sum.data[RECEPTIVE_PLACES + j], 1);
        mean = cnv_tensor_channel(&sum, 0, 0);
        receptive_show(&e, &d, node[i], unit[0], units_of(&u[i], unit[0])[0], &mean, i, &sheet);
    }
    example_rate(images, start);
    example_save(&e, &sheet.picture);
    cnv_tensor_free(&image), cnv_tensor_free(&sum), panel_end(&sheet);
    units_free(u, n), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
