/* noise.h: random pictures and random parameters. Include check.h and the library first. */
#ifndef NOISE_H
#define NOISE_H

/* Uniform in [0,1). */
static cnv_tensor noise(int n, int c, int h, int w, uint64_t seed)
{
    cnv_tensor t = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    CHECK(cnv_tensor_resize(&t, n, c, h, w), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(&t); i++) t.data[i] = (float)cnv_uniform(&rng);
    return t;
}

/* Gives every parameter that is one number a channel a random value in [low,high). */
static inline void noise_channels(cnv_net *net, double low, double high, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int p, i;
    for (p = 0; p < net->param_count; p++)
        for (i = 0; net->params[p].rank == 1 && i < net->params[p].value.c; i++)
            net->params[p].value.data[i] = (float)(low + (high - low) * cnv_uniform(&rng));
    cnv_weights_changed(net);
}

#endif
