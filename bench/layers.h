/* What is measured, by whoever measures it: bench.c, and the peers beside it. */

/* A convolution [N,C,H,W] -> [N,K,P,Q] with square filters. */
typedef struct {
    const char *name, *family; /* the network it comes from */
    int c, h, w;               /* of one image */
    int k, kernel, stride, pad;
    int batch;                 /* measured at batch 1, and at this if it isn't 0 */
} conv_layer;

static const conv_layer conv_layers[] = {
    {"alex_c1",   "AlexNet",     3, 224, 224,  64, 11, 4, 2,  0},
    {"alex_c2",   "AlexNet",    64,  27,  27, 192,  5, 1, 2,  0},
    {"alex_c3",   "AlexNet",   192,  13,  13, 384,  3, 1, 1,  0},
    {"alex_c4",   "AlexNet",   384,  13,  13, 256,  3, 1, 1,  0},
    {"alex_c5",   "AlexNet",   256,  13,  13, 256,  3, 1, 1,  0},
    {"vgg_1_1",   "VGG",         3, 224, 224,  64,  3, 1, 1,  0},
    {"vgg_1_2",   "VGG",        64, 224, 224,  64,  3, 1, 1,  0},
    {"vgg_2_1",   "VGG",        64, 112, 112, 128,  3, 1, 1,  0},
    {"vgg_2_2",   "VGG",       128, 112, 112, 128,  3, 1, 1,  0},
    {"vgg_3_1",   "VGG",       128,  56,  56, 256,  3, 1, 1,  0},
    {"vgg_3_2",   "VGG",       256,  56,  56, 256,  3, 1, 1,  0},
    {"vgg_4_1",   "VGG",       256,  28,  28, 512,  3, 1, 1,  0},
    {"vgg_4_2",   "VGG",       512,  28,  28, 512,  3, 1, 1,  0},
    {"vgg_5_1",   "VGG",       512,  14,  14, 512,  3, 1, 1,  0},
    {"goog_c1",   "GoogLeNet",   3, 224, 224,  64,  7, 2, 3,  0},
    {"inc4a_1x1", "GoogLeNet", 480,  14,  14, 192,  1, 1, 0,  0},
    {"inc4a_3x3", "GoogLeNet",  96,  14,  14, 208,  3, 1, 1,  0},
    {"inc4a_5x5", "GoogLeNet",  16,  14,  14,  48,  5, 1, 2,  0},
    {"t_3_16@64", "teaching",    3,  64,  64,  16,  3, 1, 1, 64},
    {"t_16_32@32", "teaching",  16,  32,  32,  32,  3, 1, 1, 64},
    {"t_32_64@16", "teaching",  32,  16,  16,  64,  3, 1, 1, 64},
    {"t_64_64@8", "teaching",   64,   8,   8,  64,  3, 1, 1, 64},
};
enum { CONV_LAYERS = sizeof conv_layers / sizeof *conv_layers };

/* Images that ReLU and max pooling are measured on, batch 1. */
typedef struct {
    const char *name;
    int c, h, w;
} image_size;

static const image_size image_sizes[] = {
    {"64x224x224", 64, 224, 224}, {"256x56x56", 256, 56, 56}, {"192x56x56", 192, 56, 56},
    {"256x13x13", 256, 13, 13},   {"16x32x32", 16, 32, 32},
};
enum { IMAGE_SIZES = sizeof image_sizes / sizeof *image_sizes };
