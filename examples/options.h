/* options.h: what every option of every example means, for --help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <string.h>

/* An option of all programs that have it, or of one: then "program option", before the others. */
static const char *const options_table[][2] = {
    {"net", "the network: "},
    {"train weights", "the file that it writes"},
    {"weights", "its safetensors file (default: the one that comes along)"},
    {"image", "a picture of your own (PPM or PGM; default: drawn from the seed)"},
    {"side", "of the square that the network is shown (default: its own)"},
    {"texture layer", "the last layer whose Gram matrix counts"},
    {"style_transfer layer", "with --features net: the last layer whose Gram matrix counts"},
    {"fast_style layer", "with --features net: the last layer whose Gram matrix counts"},
    {"layer", "a layer by name"},
    {"toybox class", "whose scene is explained, by name or number (default: house)"},
    {"class", "a class by name or number (default: what the network answers)"},
    {"seed", "a whole number from 0 on (default 1)"},
    {"out", "the picture to write, .png or .ppm"},

    {"train data", "FOLDER with a folder of pictures for each class, CIFAR-10's or MNIST's files"},
    {"tcav data", "FOLDER with a folder of pictures for each class, for --concept"},
    {"data", "FOLDER with a folder of pictures for each class (default: Toybox scenes)"},
    {"train images", "how many to train on, counting each time that one is seen"},
    {"dissection images", "how many: Toybox scenes for every network, for their parts are known"},
    {"images", "how many pictures"},
    {"train scenes", "how many different scenes to train on"},
    {"human_vs_net scenes", "the harder scenes of the network's own table"},
    {"scenes", "held-out scenes to measure on; 0: none"},

    {"occlusion steps", "how many places of the square along a side"},
    {"integrated_gradients steps", "points on the path"},
    {"deepdream steps", "of gradient ascent in each octave"},
    {"fast_style steps", "of the search to compare with"},
    {"steps", "of the optimizer"},
    {"rate", "of learning"},
    {"decay", "of the weights, times the rate"},
    {"epochs", "passes over the data"},
    {"bias", "marker, water or faces: scenes with a flaw, see train.c"},
    {"robust", "trains against changes of up to so much, in 255ths: see robust.h"},
    {"from", "a weight file to begin with instead of random weights"},
    {"show", "a weight file: draws the record of its training, trains nothing"},

    {"unit", "one channel instead of the most interesting ones"},
    {"units", "how many channels"},
    {"channel", "of --layer, for the last row"},
    {"group", "channels of --layer that are wanted together, like 3,17,40"},
    {"objective", "of the units' pictures: neuron or channel"},
    {"diversity", "weight of the term that keeps pictures of one channel apart"},
    {"groups", "how many groups of channels"},
    {"octaves", "sizes of the picture, each 1.4 times the last"},
    {"back", "the share by which each step draws back to the picture"},
    {"guide", "a picture whose features the dream shall show"},
    {"square", "side of the grey square, in pixels"},
    {"patch", "side of the patches that cover the picture, in pixels"},
    {"copies", "how many noisy copies to average"},
    {"noise", "its standard deviation, times the range of the pixels"},
    {"epsilon", "what steadies the divisions, as a share"},
    {"concept", "FOLDER with pictures that show it"},
    {"perplexity", "roughly how many neighbours a point has"},
    {"neighbours", "how many neighbours a point has"},

    {"eps", "the largest change of a pixel, in 255ths"},
    {"target", "the class to be taken for"},
    {"momentum", "the share of the last step that goes into the next"},
    {"shots", "simulated photographs in each step"},
    {"transfer questions", "how many pictures the attacker asks the victim about"},
    {"questions", "how many"},

    {"style", "strokes, mosaic, waves or a picture of your own"},
    {"features", "random: filters that nobody trained; net: those of --net"},
    {"weight", "of the content, compared with the style"},
    {"size", "of the result, in pixels"},
    {"model", "the painter's weight file, to read, or to write with --train"},
    {"train", "learn a style in so many steps"},
};

/* Options of all programs that change nothing in these. */
static const char *const options_needless[] = {
    "toybox net", "toybox weights", "toybox image", "train image", "attributes layer",
    "class_max layer", "fgsm layer", "filters layer", "fooling layer", "human_vs_net layer",
    "integrated_gradients layer", "inversion layer", "physical layer", "saliency layer",
    "smoothgrad layer", "targeted layer", "toybox layer", "toybox side", "train layer",
    "transfer layer", "dissection class", "fast_style class", "feature_vis class",
    "filters class", "fooling class", "human_vs_net class", "random_directions class",
    "receptive_field class", "style_transfer class", "texture class", "top_images class",
    "top_patches class", "train class", "transfer class"};

/* Whether `row` is "program option", or "option" alone. */
static inline int options_fit(const char *row, const char *program, const char *option)
{
    size_t length = strlen(program);
    return !strcmp(row, option) || (!strncmp(row, program, length) && row[length] == ' ' &&
                                    !strcmp(row + length + 1, option));
}

/* What an option means to a program; "" if that is unknown, NULL if it means nothing. */
static inline const char *options_meaning(const char *program, const char *option)
{
    size_t i;
    for (i = 0; i < sizeof options_needless / sizeof *options_needless; i++)
        if (options_fit(options_needless[i], program, option)) return NULL;
    for (i = 0; i < sizeof options_table / sizeof *options_table; i++)
        if (options_fit(options_table[i][0], program, option)) return options_table[i][1];
    return "";
}

#endif
