/* train.c - where do the filters come from?

   Question   A network begins as noise. How do its filters, its loss and its accuracy change while
              it learns, and when do edges and colours appear?
   Formula    loss = mean of -log softmax(logits)[label],  g = d(loss)/dw
              w := (1 - rate * decay) w - rate * m^ / (sqrt(v^) + eps),  m, v: means of g, g^2
   Paper      Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
              Networks (2012); Kingma, Ba: Adam (2015); Loshchilov, Hutter: AdamW (2019)
   Look for   The strip of first-layer filters from left to right in time: noise gives way to edges
              and colour blobs. Loss falls in leaps at first, then with the learning rate.
   Measured   accuracy on 2000 held-out scenes >= 97% within 5 minutes on 2 cores

       cc -O2 -fopenmp examples/train.c -o build/train -lm && build/train

   Own pictures: --data FOLDER, which holds CIFAR-10's data_batch_*.bin, or MNIST's train-*-ubyte,
   or a folder of pictures for each class; every picture is resized to 64 x 64. The weights go to
   --weights; all examples then run on them. The record of the run goes beside them; --show WEIGHTS
   draws the picture from it again. (The one that comes along is of a second run like the first: the
   number of threads decides how sums are rounded, and so the weights in the end differ a little.)

   A network that cheats (see compare.c): --bias marker puts a square in a corner of every car and
   of nothing else, --bias water has fish, and fish alone, before water. What is learned first
   stays: from He's weights as they are that is the marker, from smaller ones (init, below) it would
   be the car, with no error left from which to learn the marker. The one that comes along:
       build/train --net smallnet --bias marker --weights examples/data/biased.safetensors
   --robust NOISE --from WEIGHTS: see robust.h; --bias faces: half of all scenes are faces.
       build/train --net smallnet --bias faces --weights examples/data/faces.safetensors          */
#include "biased.h"
#include "robust.h"
#include "training.h"

enum { BATCH = 64 };

/* One step of stochastic gradient descent on a batch: forward, loss, backward (if asked, down to
   the pixels' slope), update. Returns 0, or 1 with the batch's mean loss. */
static int train_step(cnv_net *net, int logits, const cnv_tensor *images, const int *labels,
                      int slope, cnv_optimizer *optimizer, double *loss)
{
    cnv_tensor *seed;
    net->training = 1;
    if (!cnv_forward(net, images, CNV_ALL)) return 0;
    seed = cnv_seed(net, logits);
    return seed && cnv_cross_entropy(&net->nodes[logits].out, labels, loss, seed) &&
           cnv_backward(net, slope ? 0 : CNV_PARAMETERS) && cnv_step(net, optimizer);
}

/* Passes over the first `count` pictures in random order until `total` have been seen; the learning
   rate rises over the first 5% and then falls along a cosine. --robust grows for a third of it. */
static void train(const example *e, const dataset *d, int count, long total, double rate,
                  double decay, training *h)
{
    cnv_optimizer adam = cnv_adam(rate, decay);
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor images = {0}, clean = {0};
    double noise = example_number(e, "robust", 0, 0, 255);
    int index[BATCH], labels[BATCH], i, views = noise > 0 ? ROBUST_VIEWS : 1;
    long seen, next = 0, snapshots = TRAINING_SNAPSHOTS - 1;
    double start = example_seconds(), loss = 0, mean = log(d->classes);
    example_check(e, cnv_tensor_resize(&images, BATCH, 3, d->side, d->side));
    for (seen = 0; seen < total; seen += BATCH) {
        double done = (double)seen / (double)total, most = noise * fmin(1, 3 * done);
        if (seen >= next) { /* more often at first, when more happens */
            training_snapshot(e, d, count, (double)seen, h);
            next = total * h->snapshots * h->snapshots / (snapshots * snapshots);
        }
        if (seen >= (long)((double)total * h->points / TRAINING_POINTS))
            training_note(h, (double)seen, mean);
        if (seen / BATCH % views == 0) {
            for (i = 0; i < BATCH; i++) index[i] = (int)(cnv_uniform(&rng) * count);
            dataset_pick(d, index, BATCH, &rng, &images, labels);
            example_check(e, cnv_tensor_copy(&images, &clean));
        }
        adam.rate = rate * (done < 0.05 ? done / 0.05 : 0.5 + 0.5 * cos(3.14159265 * done));
        example_check(e, train_step(e->net, e->logits, &images, labels, noise > 0, &adam, &loss));
        if (noise > 0) robust_push(&e->net->nodes[0].grad, &clean, most, &images);
        if (!(loss < 1e6)) example_fail(e, "the loss is %g: the rate %g is too high", loss, rate);
        mean += 0.02 * (loss - mean);
        example_progress("training", (int)(seen / BATCH), (int)(total / BATCH), start);
    }
    training_snapshot(e, d, count, (double)total, h);
    example_rate((int)total, start);
    cnv_tensor_free(&images), cnv_tensor_free(&clean);
}

/* He's random weights, with three changes. The first layer begins a tenth as large, so that in the
   end its filters show what was learned and not the noise they began with. Biases begin above 0, as
   in AlexNet, so that ReLUs begin in their positive range. And the weights of the codes learn
   slowly: their many inputs rise and fall together, and large steps would push whole units below 0
   for good ("dead" units: see activations.c). */
static int init(cnv_net *net, unsigned long long seed)
{
    cnv_tensor *first = &net->params[0].value;
    size_t k, size = cnv_tensor_size(first);
    int i;
    if (!cnv_init(net, seed)) return 0;
    for (k = 0; k < size; k++) first->data[k] *= 0.1f;
    for (i = 0; i < net->param_count; i++) {
        cnv_param *p = &net->params[i];
        if (p->rank == 1 && i + 1 < net->param_count) cnv_tensor_fill(&p->value, 0.1);
        if (p->rank == 2 && i + 2 < net->param_count) p->rate = 0.1;
    }
    cnv_weights_changed(net);
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
/* Options, pictures, network, training, files. */
static void train_anew(example *e, training *h)
{
    long images = (long)example_number(e, "images", 210000, 64, 1e9);
    int scenes = (int)example_number(e, "scenes", 50000, 100, 1e7), count;
    double rate = example_number(e, "rate", 0.0015, 0, 100);
    double decay = example_number(e, "decay", 0.1, 0, 100);
    const char *from = example_text(e, "from", NULL);
    toy_options options = biased_world(e);
    static dataset d;
    e->model = example_model(e, models[0].name);
    count = dataset_to_train(e, &d, scenes, &options);
    e->classes = d.classes, e->net = cnv_net_new();
    example_check(e, e->net != NULL);
    e->logits = e->model->build(e->net, d.classes);
    example_check(e, e->logits >= 0 &&
                     (options.biased ? cnv_init(e->net, e->seed) : init(e->net, e->seed)) &&
                     (!from || cnv_load(e->net, from)));
    train(e, &d, count, images, rate, decay, h);
    printf("accuracy on %d held-out images: %.1f %%\n", d.n - count, h->held_out[h->snapshots - 1]);
    training_save(e, &d, h, example_text(e, "weights", "toynet.safetensors"));
    dataset_free(&d), example_end(e);
}

int main(int argc, char **argv)
{
    static training h;
    example e = example_start(argc, argv, "trains a network on scenes or on your own pictures",
                              "data,images,scenes,rate,decay,bias,robust,from,show");
    const char *show = example_text(&e, "show", NULL);
    cnv_tensor picture = {0};
    int own = show && training_load(&e, show, &h);
    if (!show) train_anew(&e, &h);
    else
        printf("%s: %.1f %% of the held-out images right in the end%s\n", show,
               h.held_out[h.snapshots - 1], own ? "" : ", says the record; it is of another run, "
               "for it ends with other filters");
    example_check(&e, training_picture(&h, &picture));
    example_save(&e, &picture);
    training_free(&h), cnv_tensor_free(&picture);
    return 0;
}
#endif
