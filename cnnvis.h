/* cnnvis.h - v0.1 - look inside convolutional networks - public domain or MIT, see the end

   One file that runs convolutional networks forwards and backwards, fast enough to look inside
   them. Do this in ONE C or C++ file, and include the header plainly wherever else you need it (it
   must keep its name, for it includes itself):

       #define CNNVIS_IMPLEMENTATION
       #include "cnnvis.h"

   A complete program: which pixels does a neuron look at?        cc -O2 me.c -lm && ./a.out

       #define CNNVIS_IMPLEMENTATION
       #include "cnnvis.h"
       int main(void)
       {
           cnv_tensor image = {0}, picture = {0};
           cnv_color blue = {0.1f, 0.2f, 0.5f}, yellow = {1, 0.8f, 0.3f};
           cnv_net *net = cnv_net_new();
           int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 3), "conv1", 8, 7, 1, 3));
           cnv_init(net, 1);                               // or cnv_load(net, "x.safetensors")
           cnv_canvas(&image, 96, 96, blue), cnv_disc(&image, 48, 48, 30, yellow);
           if (!cnv_forward(net, &image, x)) return 1;     // the sentence is in cnv_error()
           cnv_tensor_channel(cnv_seed(net, x), 0, 3).data[48 * 96 + 20] = 1;
           if (!cnv_backward(net, 0)) return 1;            // d(neuron) / d(pixels)
           return !cnv_stretch(&net->nodes[0].grad, 0, &picture) ||
                  !cnv_image_save("gradient.ppm", &picture);
       }

   Contents
     1. This page                                  7. Operators, forward and backward
     2. Declarations: the manual                   8. The network: a tape of nodes
     3. Errors, memory, random numbers, tensors    9. Training
     4. Vocabulary: vector words                  10. Files: safetensors, PNM, PNG
     5. Kernels: the inner loops                  11. Pictures
     6. Dispatch: AVX2, AVX-512, NEON or scalar

   Conventions
     float32; tensors are N x C x H x W, row-major; convolution is cross-correlation, as everywhere
     in this field; pixels lie in [0,1] until the network itself normalizes them. In formulas
     N C H W are the sizes of an input, K R S of the filters, P Q of the output; d before a name is
     its gradient.
     Functions return 0 when they fail and leave a sentence in cnv_error(). The library never prints
     and never exits.

   Options, to be defined before the header where it is implemented
     CNNVIS_STATIC      all functions are static: the compiler drops what you do not call
     CNNVIS_NO_SIMD     scalar code only           CNNVIS_NO_STDIO   no files
     CNNVIS_MALLOC, CNNVIS_REALLOC, CNNVIS_FREE    your own memory: all three or none; like the
                        system's, the last two must take NULL
     CNNVIS_REAL        another number type than float (double: for checking gradients)
   With -fopenmp the work is shared by all processors. On x86-64 and AArch64 the best vector
   instructions of the CPU are found at run time; no flag is needed for them.

   Convolution as a matrix product: im2col writes each window of the image as a column,

         image x [C,H,W]             columns [C*R*S, P*Q]     filters [K, C*R*S]   output y [K, P*Q]
       +---+---+---+---+           window:  1  2  3  4            +-----------+        +------+
       | a | b | c | d |                  +-----------+           | filter 1  |        |  y1  |
       +---+---+---+---+    2 x 2 taps    | a  b  e  f |          +-----------+   x  = +------+
       | e | f | g | h |    at stride 1   | b  c  f  g |          | filter 2  |        |  y2  |
       +---+---+---+---+   ------------>  | e  f  i  j |          +-----------+        +------+
       | i | j | k | l |                  | f  g  j  k |          each row a filter    each row a
       +---+---+---+---+                  +-----------+            [C,R,S] laid flat    feature map

   so that y = filters x columns. This header does the same without ever building the columns: 5.1
   and 7.1 tell how. Most filters of 3 x 3 and 5 x 5 go another way, with about a third of the
   multiplications: see 5.2 and cnv_use_winograd().

   Papers
     [1] Goto, van de Geijn 2008: Anatomy of High-Performance Matrix Multiplication
     [2] Chellapilla, Puri, Simard 2006: High Performance Convolutional Neural Networks for Document
         Processing (im2col)
     [3] Krizhevsky, Sutskever, Hinton 2012: ImageNet Classification with Deep CNNs (AlexNet)
     [4] Zeiler, Fergus 2014: Visualizing and Understanding Convolutional Networks (deconvnet)
     [5] Springenberg, Dosovitskiy, Brox, Riedmiller 2015: Striving for Simplicity (guided backprop)
     [6] Ioffe, Szegedy 2015: Batch Normalization
     [7] Ulyanov, Vedaldi, Lempitsky 2016: Instance Normalization
     [8] Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014: Dropout
     [9] Kingma, Ba 2015: Adam
    [10] He, Zhang, Ren, Sun 2015: Delving Deep into Rectifiers (initial weights)
    [11] Dumoulin, Visin 2016: A guide to convolution arithmetic for deep learning
    [12] Shi et al. 2016: Real-Time Single Image and Video Super-Resolution Using an Efficient
         Sub-Pixel Convolutional Neural Network
    [13] Lavin, Gray 2016: Fast Algorithms for Convolutional Neural Networks (Winograd's)        */

/* ============================== 2. Declarations ============================== */
#ifndef CNNVIS_H
#define CNNVIS_H

#include <stddef.h>
#include <stdint.h>

#if defined CNNVIS_STATIC && defined __GNUC__
#define CNVDEF static __attribute__((unused)) /* no warning about what a program does not call */
#elif defined CNNVIS_STATIC
#define CNVDEF static
#else
#define CNVDEF extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The number type. float; a test may say `#define CNNVIS_REAL double` before the header to check
   gradients with the very same source (scalar code only, since vectors of double are not written).
   */
#ifdef CNNVIS_REAL
typedef CNNVIS_REAL cnv_real;
#else
typedef float cnv_real;
#endif

/* ---- 2.1 Errors, instruction sets, random numbers ----

   Functions that can fail return 0 or NULL (building a node: -1) and leave a sentence in
   cnv_error(), which belongs to the calling thread and stays until that thread's next failure. */
CNVDEF const char *cnv_error(void);

/* Chooses the instruction set: "auto" (the best that CPU and system support: the default),
   "scalar", "avx2", "avx512" or "neon". Fails, changing nothing, where this CPU cannot run it.
   Not to be called while another thread is inside the library. */
CNVDEF int cnv_use(const char *instruction_set);
CNVDEF const char *cnv_using(void); /* the name of the instruction set in use */

/* Whether 3 x 3 and 5 x 5 convolutions of stride 1, and their gradients, may take Winograd's way
   (Lavin & Gray 2016) where it is faster: up to 3 times. At the start: on. With 0 every convolution
   is the plain sum. Outputs are computed in tiles of 4 x 4 or 2 x 2, and round otherwise than the
   definition: errors of up to 2e-5 * (the largest sum of |weight| * |x| of a tile's outputs), not
   1e-6 * (its own sum), and likewise the gradients of a filter's weights for a channel. So a
   number that should be 0 may be as small as that instead: turn it off where 0 means "not seen", as
   in receptive fields. A NaN, an infinity, or a number near the largest that float holds spoils all
   tiles, and all filters for its channel, that read it. Not to be called while another thread is
   inside the library. */
CNVDEF void cnv_use_winograd(int on);

/* A small generator (splitmix64): the same numbers from the same seed, everywhere (cnv_normal: as
   exactly as the system's log and cos agree). */
typedef struct {
    uint64_t state;
} cnv_rng;
CNVDEF cnv_rng cnv_rng_seed(uint64_t seed);
CNVDEF uint32_t cnv_random(cnv_rng *rng); /* 32 random bits */
CNVDEF double cnv_uniform(cnv_rng *rng);  /* uniform in [0,1) */
CNVDEF double cnv_normal(cnv_rng *rng);   /* normal, mean 0, variance 1 */

/* ---- 2.2 Tensors ----

   Four dimensions, always: images x channels x height x width. A vector of C numbers is [1,C,1,1],
   a batch of N feature vectors is [N,C,1,1], a filter bank of K filters is [K,C,R,S].
   Start with `cnv_tensor t = {0};` (C++: `= {}`), and give every tensor that owns memory back to
   cnv_tensor_free(). Functions that write a tensor give it the shape they need. */
typedef struct {
    cnv_real *data;   /* [n][c][h][w], row-major: element (i,k,y,x) at ((i*c + k)*h + y)*w + x */
    int n, c, h, w;
    size_t capacity;  /* how many numbers data can hold; 0: the memory belongs to somebody else */
} cnv_tensor;

/* A tensor over the caller's memory; it is never freed, grown or moved by the library. */
CNVDEF cnv_tensor cnv_tensor_view(cnv_real *data, int n, int c, int h, int w);

/* Gives t a shape. Memory grows when it must and never shrinks; after a change of shape the
   contents are unspecified. Fails, leaving t as it was, on a dimension below 1, on overflow,
   without memory, and on a view whose number of elements would change. */
CNVDEF int cnv_tensor_resize(cnv_tensor *t, int n, int c, int h, int w);
CNVDEF int cnv_tensor_copy(const cnv_tensor *from, cnv_tensor *to); /* shape and contents */
CNVDEF void cnv_tensor_fill(cnv_tensor *t, double value);
CNVDEF size_t cnv_tensor_size(const cnv_tensor *t);                /* n*c*h*w */
CNVDEF cnv_tensor cnv_tensor_image(const cnv_tensor *t, int i);    /* view of image i: [1,c,h,w] */
CNVDEF cnv_tensor cnv_tensor_channel(const cnv_tensor *t, int i, int k); /* view: [1,1,h,w] */
CNVDEF void cnv_tensor_free(cnv_tensor *t);                        /* and zeroes the struct */
/* The sum of a[i] * b[i] over all elements of two tensors of one size */
CNVDEF double cnv_dot(const cnv_tensor *a, const cnv_tensor *b);
/* y[i] += scale * x[i] for all elements of two tensors of one size */
CNVDEF void cnv_add_scaled(double scale, const cnv_tensor *x, cnv_tensor *y);

/* ---- 2.3 Operators ----

   Pure functions on tensors. Each X_forward has its X_backward, which turns the gradient dy of some
   objective with respect to y into the gradient dx with respect to x.
   Contract, unless a comment says otherwise: outputs get their shape and are overwritten; gradients
   of parameters (dweight, dbias, dgamma, dbeta) must have their shape already and are accumulated
   into; inputs are not changed; an output may not overlap an input. All return 1, or 0 with
   cnv_error() when shapes do not fit or memory runs out; outputs may then have their new shape. */

/* A sliding window, for convolution and pooling. Output height
     P = (H + pad_top + pad_bottom - dilation_h*(kernel_h - 1) - 1) / stride_h + 1,
   rounded down; with ceil_mode (pooling only) rounded up, but without a window that would start
   behind the image, in its lower pad. A kernel larger than the padded image is refused. */
typedef struct {
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_left, pad_bottom, pad_right;
    int ceil_mode;
} cnv_window;
CNVDEF cnv_window cnv_square(int kernel, int stride, int pad); /* the same in both directions */
/* Rows and columns of the output; fails if a setting makes no sense or no window fits. */
CNVDEF int cnv_window_output(const cnv_window *win, int h, int w, int *p, int *q);

/* Memory that convolutions work in: grows, is reused, belongs to the caller. NULL may be passed
   instead: then each call allocates its own. One workspace serves one call at a time. */
typedef struct {
    void *data;
    size_t bytes;
} cnv_workspace;
CNVDEF void cnv_workspace_free(cnv_workspace *ws);

/* Cross-correlation, as everyone calls convolution                 (Dumoulin & Visin 2016)
     y[n,k,p,q] = bias[k] + sum over c,r,s of
                  weight[k,c,r,s] * x[n, c, p*stride - pad + r*dilation, q*stride - pad +
                  s*dilation]
   x [N,C,H,W], weight [K,C/groups,R,S], bias [1,K,1,1] or NULL, y [N,K,P,Q]. Filter k sees the
   C/groups channels of its group; groups must divide C and K. A batch equals its images one by one:
   bit for bit, or up to rounding where only the batch goes Winograd's way (cnv_use_winograd). */
CNVDEF int cnv_conv2d_forward(const cnv_tensor *x, const cnv_tensor *weight, const cnv_tensor *bias,
                              const cnv_window *win, int groups, cnv_tensor *y, cnv_workspace *ws);
/* dx[n,c,h,w] = sum of weight[k,c,r,s] * dy[n,k,p,q] over all (k,r,s,p,q) that read x[n,c,h,w].
   dx must come with the shape of x (several input sizes give one output size). */
CNVDEF int cnv_conv2d_backward_data(const cnv_tensor *dy, const cnv_tensor *weight,
                                    const cnv_window *win, int groups, cnv_tensor *dx,
                                    cnv_workspace *ws);
/* dweight[k,c,r,s] += sum over n,p,q of dy[n,k,p,q] * x[n,c,h,w];  dbias[k] += sum of dy[n,k,p,q].
   dbias may be NULL. */
CNVDEF int cnv_conv2d_backward_weights(const cnv_tensor *x, const cnv_tensor *dy,
                                       const cnv_window *win, int groups, cnv_tensor *dweight,
                                       cnv_tensor *dbias, cnv_workspace *ws);

/* The textbook form of convolution: im2col writes every window of x as a column, so that
   convolution becomes the matrix product weight[K, C*R*S] * cols; col2im is its adjoint: it adds
   every column back where it came from. cols [N, C*R*S, P, Q]; col2im's x must come with its
   shape. */
CNVDEF int cnv_im2col(const cnv_tensor *x, const cnv_window *win, cnv_tensor *cols);
CNVDEF int cnv_col2im(const cnv_tensor *cols, const cnv_window *win, cnv_tensor *x);

/* y[n,o] = bias[o] + sum over i of weight[o,i] * x[n,i], where i runs over c, h and w of x.
   x [N,C,H,W], weight [O,C*H*W,1,1], bias [1,O,1,1] or NULL, y [N,O,1,1]. From N = 4 on it is one
   matrix product: a batch then equals its images one by one up to rounding only. */
CNVDEF int cnv_linear_forward(const cnv_tensor *x, const cnv_tensor *weight, const cnv_tensor *bias,
                              cnv_tensor *y, cnv_workspace *ws);
/* dx = weight^T dy; dx must come with the shape of x. With fewer than 4 images the weights of
   outputs whose dy is 0 are not read: behind a ReLU that is half of them. */
CNVDEF int cnv_linear_backward_data(const cnv_tensor *dy, const cnv_tensor *weight, cnv_tensor *dx,
                                    cnv_workspace *ws);
/* dweight += dy x^T, dbias += sum over n of dy; dbias may be NULL. */
CNVDEF int cnv_linear_backward_weights(const cnv_tensor *x, const cnv_tensor *dy,
                                       cnv_tensor *dweight, cnv_tensor *dbias, cnv_workspace *ws);

/* How a gradient passes back through y = max(x, 0). At x == 0 all three pass nothing. */
typedef enum {
    CNV_GRADIENT,        /* dx = dy where x > 0:              the true gradient                   */
    CNV_DECONVNET,       /* dx = dy where dy > 0:             Zeiler & Fergus 2014                */
    CNV_GUIDED           /* dx = dy where x > 0 and dy > 0:   guided backprop, Springenberg 2015  */
} cnv_relu_rule;

/* y = x where x > 0, else 0 (NaN stays NaN). y may be x. */
CNVDEF int cnv_relu_forward(const cnv_tensor *x, cnv_tensor *y);
/* See cnv_relu_rule. dx may be dy. Giving y in place of x changes nothing. */
CNVDEF int cnv_relu_backward(cnv_relu_rule rule, const cnv_tensor *x, const cnv_tensor *dy,
                             cnv_tensor *dx);
/* y = 1 / (1 + exp(-x)), dx = dy * y * (1 - y).  y may be x, dx may be dy. */
CNVDEF int cnv_sigmoid_forward(const cnv_tensor *x, cnv_tensor *y);
CNVDEF int cnv_sigmoid_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx);
/* y = tanh(x), dx = dy * (1 - y*y).  y may be x, dx may be dy. */
CNVDEF int cnv_tanh_forward(const cnv_tensor *x, cnv_tensor *y);
CNVDEF int cnv_tanh_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx);

/* y[n,c,p,q] = max of x over the window; taps in the padding do not take part. A NaN wins over
   every number. A window that holds padding only gives 0. */
CNVDEF int cnv_max_pool_forward(const cnv_tensor *x, const cnv_window *win, cnv_tensor *y);
/* switches [N,C,P,Q]: which pixel won, as its number h*W + w in the plane: the "switches" of Zeiler
   & Fergus. x and y as cnv_max_pool_forward had and left them. The first of equals wins. A window
   that holds padding only has switch -1, and passes no gradient. Planes of at most 2^24 pixels. */
CNVDEF int cnv_max_pool_switches(const cnv_tensor *x, const cnv_window *win, const cnv_tensor *y,
                                 cnv_tensor *switches);
/* dx = each dy added at the pixel its switch names; dx must come with the shape of x. switches: as
   cnv_max_pool_switches left them with the same window. */
CNVDEF int cnv_max_pool_backward(const cnv_tensor *dy, const cnv_tensor *switches,
                                 const cnv_window *win, cnv_tensor *dx);
/* y = sum over the window / its area. count_padding: the area counts taps in the padding (but never
   those that only ceil_mode adds beyond it); else only taps on the image. */
CNVDEF int cnv_avg_pool_forward(const cnv_tensor *x, const cnv_window *win, int count_padding,
                                cnv_tensor *y);
CNVDEF int cnv_avg_pool_backward(const cnv_tensor *dy, const cnv_window *win, int count_padding,
                                 cnv_tensor *dx); /* dx must come with the shape of x */
/* y [N,C,P,Q]: the mean of rows floor(p*H/P) ... ceil((p+1)*H/P)-1, and columns alike.
   1 x 1 is global average pooling (Lin et al. 2013). */
CNVDEF int cnv_adaptive_avg_pool_forward(const cnv_tensor *x, int p, int q, cnv_tensor *y);
/* dx must come with the shape of x. */
CNVDEF int cnv_adaptive_avg_pool_backward(const cnv_tensor *dy, cnv_tensor *dx);

/* y = (x - mean[c]) / std[c], a network's own view of the pixels. mean, std: one number a channel.
   */
CNVDEF int cnv_normalize_forward(const cnv_tensor *x, const cnv_real *mean, const cnv_real *std,
                                 cnv_tensor *y);
CNVDEF int cnv_normalize_backward(const cnv_tensor *dy, const cnv_real *std, cnv_tensor *dx);

/* y = gamma[c] * (x - mean[c]) / sqrt(var[c] + eps) + beta[c]      (Ioffe & Szegedy 2015)
   gamma, beta, mean, var [1,C,1,1]. The statistics are constants: what a trained network uses. */
CNVDEF int cnv_batch_norm_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                  const cnv_tensor *beta, const cnv_tensor *mean,
                                  const cnv_tensor *var, double eps, cnv_tensor *y);
CNVDEF int cnv_batch_norm_backward(const cnv_tensor *dy, const cnv_tensor *gamma,
                                   const cnv_tensor *var, double eps, cnv_tensor *dx);
/* The same with the mean and (biased) variance of this batch. saved [2,C,1,1] keeps the mean and
   1/sqrt(var + eps) for the way back. mean and var, the running statistics, move towards the
   batch's by `momentum` (var by the unbiased variance); both may be NULL. */
CNVDEF int cnv_batch_norm_train_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                        const cnv_tensor *beta, double eps, double momentum,
                                        cnv_tensor *mean, cnv_tensor *var, cnv_tensor *y,
                                        cnv_tensor *saved);
CNVDEF int cnv_batch_norm_train_backward(const cnv_tensor *x, const cnv_tensor *saved,
                                         const cnv_tensor *gamma, const cnv_tensor *dy,
                                         cnv_tensor *dx, cnv_tensor *dgamma, cnv_tensor *dbeta);
/* Batch norm for each image by itself (Ulyanov et al. 2016): statistics of each [H,W] plane.
   saved [2,N*C,1,1]. In both norms dgamma and dbeta may be NULL. */
CNVDEF int cnv_instance_norm_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                     const cnv_tensor *beta, double eps, cnv_tensor *y,
                                     cnv_tensor *saved);
CNVDEF int cnv_instance_norm_backward(const cnv_tensor *x, const cnv_tensor *saved,
                                      const cnv_tensor *gamma, const cnv_tensor *dy, cnv_tensor *dx,
                                      cnv_tensor *dgamma, cnv_tensor *dbeta);

/* y[c] = x[c] * scale[c]^-beta, scale[c] = k + alpha/size * sum of x[j]^2 over the `size` channels
   around c: c - size/2 ... c - size/2 + size - 1 (Krizhevsky et al. 2012; alpha divided by size as
   in PyTorch). scale, shaped like x, is kept for the way back. */
CNVDEF int cnv_local_response_norm_forward(const cnv_tensor *x, int size, double alpha, double beta,
                                           double k, cnv_tensor *y, cnv_tensor *scale);
CNVDEF int cnv_local_response_norm_backward(const cnv_tensor *x, const cnv_tensor *scale, int size,
                                            double alpha, double beta, const cnv_tensor *dy,
                                            cnv_tensor *dx);

/* y[c] = exp(x[c]) / sum over j of exp(x[j]), over the channels at each position. */
CNVDEF int cnv_softmax_forward(const cnv_tensor *x, cnv_tensor *y);
CNVDEF int cnv_softmax_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx);
/* *loss = mean over n of -log softmax(logits[n])[labels[n]]; logits [N,C,1,1].
   dlogits, if not NULL: its gradient, (softmax - onehot) / N. */
CNVDEF int cnv_cross_entropy(const cnv_tensor *logits, const int *labels, double *loss,
                             cnv_tensor *dlogits);

/* Channels of several tensors one after the other; N, H, W must agree. */
CNVDEF int cnv_concat_forward(const cnv_tensor *const *x, int count, cnv_tensor *y);
/* dx = the channels of dy from `first` on, as many as dx, which must come with its shape. */
CNVDEF int cnv_concat_backward(const cnv_tensor *dy, int first, cnv_tensor *dx);
/* y = a + b; y may be a or b. On the way back dy goes to both, unchanged. */
CNVDEF int cnv_add_forward(const cnv_tensor *a, const cnv_tensor *b, cnv_tensor *y);
/* Nearest neighbour: every pixel becomes factor x factor pixels. */
CNVDEF int cnv_upsample_forward(const cnv_tensor *x, int factor, cnv_tensor *y);
CNVDEF int cnv_upsample_backward(const cnv_tensor *dy, int factor, cnv_tensor *dx);
/* Mirrors `pad` pixels at each border without repeating the border: c b | a b c | b a. */
CNVDEF int cnv_reflect_pad_forward(const cnv_tensor *x, int pad, cnv_tensor *y);
CNVDEF int cnv_reflect_pad_backward(const cnv_tensor *dy, int pad, cnv_tensor *dx);
/* y = x * mask, mask = 0 with probability p, else 1/(1-p)          (Srivastava et al. 2014)
   On the way back dx = dy * mask. */
CNVDEF int cnv_dropout_forward(const cnv_tensor *x, double p, cnv_rng *rng, cnv_tensor *y,
                               cnv_tensor *mask);
CNVDEF int cnv_dropout_backward(const cnv_tensor *dy, const cnv_tensor *mask, cnv_tensor *dx);

/* ---- 2.4 Networks ----

   A network is a list of nodes. A node names the nodes it reads, which stand before it, so forward
   is a loop up the list and backward a loop down. Everything is a public field: look at it. */
enum { CNV_NAME_SIZE = 64, CNV_MAX_INPUTS = 8, CNV_POOL = 16, CNV_ALL = -1, CNV_PARAMETERS = -1 };

typedef enum {
    CNV_INPUT, CNV_NORMALIZE, CNV_CONV2D, CNV_LINEAR, CNV_RELU, CNV_SIGMOID, CNV_TANH, CNV_MAX_POOL,
    CNV_AVG_POOL, CNV_ADAPTIVE_AVG_POOL, CNV_BATCH_NORM, CNV_INSTANCE_NORM,
    CNV_LOCAL_RESPONSE_NORM, CNV_SOFTMAX, CNV_CONCAT, CNV_ADD, CNV_UPSAMPLE, CNV_REFLECT_PAD,
    CNV_DROPOUT, CNV_OPS
} cnv_op;

typedef struct {
    cnv_op op;
    char name[CNV_NAME_SIZE];     /* "conv1"; unnamed layers are numbered: "relu1", "pool2" */
    int inputs, input[CNV_MAX_INPUTS]; /* the nodes read, by index */
    int channels;                 /* of out */
    int params, param[4];         /* in net->params: weight, bias (norms: and the running
                                     mean and variance) */
    cnv_tensor out;               /* [N,C,H,W], filled by cnv_forward */
    cnv_tensor grad;              /* d(objective)/d(out), filled by seeds and cnv_backward */
    int has_grad;                 /* seeded, or reached from a seed; 0 again after cnv_backward */
    int borrowed;                 /* grad's memory is net->pool[borrowed - 1]; 0: its own */
    int wanted;                   /* backward goes through this node */
    cnv_tensor saved;             /* for the way back: mask, statistics, cnv_switches, ... */

    cnv_window window;            /* convolution and pooling */
    int groups, count_padding;    /* convolution; average pooling */
    int size_h, size_w;           /* adaptive pooling's output; size_h: upsampling's factor, the
                                     reflection's pad, local response norm's size */
    double alpha, beta, k, eps;   /* local response norm; the norms' eps; alpha: dropout's p */
    cnv_real mean[4], std[4];     /* normalize, for up to 4 channels */
    cnv_tensor packed[2];         /* the weights as the kernels want them, forward and backward */
    uint64_t packed_version[2];   /* of the weights that were packed */
} cnv_node;

typedef struct {
    char name[CNV_NAME_SIZE];     /* "conv1.weight", as in the weight file */
    int rank;                     /* number of dimensions in a weight file: 4, 2 or 1 */
    int trainable;                /* 0: running statistics */
    double rate;                  /* multiplies the optimizer's learning rate; 1 at first */
    cnv_tensor value, grad;       /* grad has a shape once the network trains */
    cnv_tensor m, v;              /* the optimizer's momentum and second moment */
} cnv_param;

struct cnv_safetensors;

typedef struct {
    cnv_node *nodes;
    int count;
    int valid;                    /* how many nodes hold the output for the last image */
    cnv_param *params;
    int param_count;
    cnv_relu_rule relu_rule;      /* how backward passes ReLUs; CNV_GRADIENT at first */
    int training;                 /* 1: dropout drops, batch norm uses the batch, and cnv_backward
                                     adds up the gradients of parameters. Set it before
                                     cnv_forward; cnv_backward fails if it has changed since. */
    int was_training;             /* in the last cnv_forward */
    uint64_t version;             /* grows whenever the weights change: see cnv_weights_changed */
    uint64_t loaded;              /* the version that is in `file` */
    int frugal;                   /* 1: memory before time. cnv_backward leaves a gradient in node
                                     `downto` and in seeded nodes only: the others' memory is used
                                     again on the way. Mapped weights are given back to the system
                                     (where it has madvise) when their layer has been computed, and
                                     fetched when they are next wanted; so cnv_weights_changed must
                                     be told of weights written by hand before the next pass, or
                                     they are lost. VGG-19 and the pixels' gradient: 0.7 GB in
                                     place of 1, a tenth more time. 0 at first. */
    int unused_tensors;           /* how many tensors of the last weight file had no place here */
    int broken;                   /* building went wrong; the message is kept for cnv_forward */
    char message[512];
    cnv_rng rng;                  /* dropout's */
    cnv_workspace workspace;
    cnv_tensor spare;             /* gradients on their way into a node with several readers */
    cnv_tensor pool[CNV_POOL];    /* memory that nodes borrow for their gradient, when frugal, */
    int lent[CNV_POOL];           /* and whether one has it now */
    struct cnv_safetensors *file; /* the mapped weight file that values may point into */
} cnv_net;

CNVDEF cnv_net *cnv_net_new(void);
CNVDEF void cnv_net_free(cnv_net *net); /* NULL is fine */

/* Building. Each function appends a node and returns its index, or -1 with cnv_error(). An input of
   -1 gives -1 again and keeps the first message, so a network needs checking only once, at the end:
   cnv_load() and cnv_forward() refuse a network that was not built. A layer's `name` is the prefix
   of its parameters in weight files. NULL for a name numbers the layer. What a layer computes is
   said at the operator of its name, above. */
CNVDEF int cnv_input(cnv_net *net, int channels);
/* mean, std: a number for each channel, at most 4; std > 0. */
CNVDEF int cnv_normalize(cnv_net *net, int x, const double *mean, const double *std);
/* Parameters weight [filters,C,kernel,kernel] and bias [filters]. */
CNVDEF int cnv_conv2d(cnv_net *net, int x, const char *name, int filters, int kernel, int stride,
                      int pad);
/* weight [filters,C/groups,R,S]; bias: 1 with, 0 without. */
CNVDEF int cnv_conv2d_window(cnv_net *net, int x, const char *name, int filters,
                             const cnv_window *win, int groups, int bias);
/* in: C*H*W of what it reads. Parameters weight [out,in] and bias [out]. */
CNVDEF int cnv_linear(cnv_net *net, int x, const char *name, int in, int out);
CNVDEF int cnv_relu(cnv_net *net, int x);
CNVDEF int cnv_sigmoid(cnv_net *net, int x);
CNVDEF int cnv_tanh(cnv_net *net, int x);
CNVDEF int cnv_max_pool(cnv_net *net, int x, int kernel, int stride, int pad);
CNVDEF int cnv_max_pool_window(cnv_net *net, int x, const cnv_window *win);
CNVDEF int cnv_avg_pool(cnv_net *net, int x, int kernel, int stride, int pad); /* pad counts */
CNVDEF int cnv_avg_pool_window(cnv_net *net, int x, const cnv_window *win, int count_padding);
CNVDEF int cnv_adaptive_avg_pool(cnv_net *net, int x, int h, int w);
CNVDEF int cnv_global_avg_pool(cnv_net *net, int x);
/* Parameters weight, bias, running_mean, running_var [C]; training moves the last two by 0.1. */
CNVDEF int cnv_batch_norm(cnv_net *net, int x, const char *name, double eps);
CNVDEF int cnv_instance_norm(cnv_net *net, int x, const char *name, double eps);
CNVDEF int cnv_local_response_norm(cnv_net *net, int x, int size, double alpha, double beta,
                                   double k);
CNVDEF int cnv_softmax(cnv_net *net, int x);
CNVDEF int cnv_concat(cnv_net *net, const int *x, int count); /* of 1 to CNV_MAX_INPUTS nodes */
CNVDEF int cnv_add(cnv_net *net, int a, int b);
CNVDEF int cnv_upsample(cnv_net *net, int x, int factor);
CNVDEF int cnv_reflect_pad(cnv_net *net, int x, int pad);
CNVDEF int cnv_dropout(cnv_net *net, int x, double p); /* drops the share p, 0 <= p < 1 */

/* Names node x, for cnv_find and messages; fails on a name that is taken, empty, or too long for
   CNV_NAME_SIZE. */
CNVDEF int cnv_name(cnv_net *net, int x, const char *name);
/* The index of the node of that name, or -1; the message then lists the names there are. */
CNVDEF int cnv_find(const cnv_net *net, const char *name);
/* "conv", "relu", "max_pool", ...: what a node does, in a word. */
CNVDEF const char *cnv_op_name(cnv_op op);

/* Draws all weights anew: He et al. 2015, normal with variance 2 / fan_in; biases 0, norms 1 and
   0. */
CNVDEF int cnv_init(cnv_net *net, uint64_t seed);
/* Call this after writing into parameters by hand: packed copies are then made again. */
CNVDEF void cnv_weights_changed(cnv_net *net);

/* Runs a batch of images [N,C,H,W] through the nodes up to and including `upto` (CNV_ALL: all).
   Clears all seeds. The image is copied into node 0. Any size that the layers allow will do; the
   message names the node that refuses. */
CNVDEF int cnv_forward(cnv_net *net, const cnv_tensor *image, int upto);

/* The gradient of a node, for writing an objective's derivative into; zero when first asked for
   after cnv_forward or cnv_backward. Several nodes may be seeded. NULL: the node has not been run.
   */
CNVDEF cnv_tensor *cnv_seed(cnv_net *net, int node);

/* Which pixels a max-pooling node took, see cnv_max_pool_switches: found when they are first asked
   for after cnv_forward, be it by cnv_backward. NULL on failure. */
CNVDEF const cnv_tensor *cnv_switches(cnv_net *net, int node);

/* Carries the seeds down to node `downto`, whose grad is then d(objective)/d(node), and that of
   every node on the way likewise (unless net->frugal); 0 is the image. While net->training, adds up
   the gradients of all parameters on the way too; CNV_PARAMETERS asks for those alone. Where no
   seed leads, the gradient is 0. Consumes the seeds.
   Cost: about that of forward. */
CNVDEF int cnv_backward(cnv_net *net, int downto);

/* ---- 2.5 Training ---- */
typedef enum { CNV_SGD, CNV_ADAM } cnv_method;
typedef struct {
    cnv_method method;
    double rate;              /* learning rate; change it freely between steps */
    double momentum;          /* Adam: beta1 */
    double beta2, eps;        /* Adam only */
    double weight_decay;      /* SGD: L2, added to the gradient. Adam: decoupled (Loshchilov 2019).
                                 Parameters of rank 1 (biases, norms) are not decayed. */
    long step;                /* steps done */
} cnv_optimizer;
CNVDEF cnv_optimizer cnv_sgd(double rate, double momentum, double weight_decay);
/* beta1 0.9, beta2 0.999, eps 1e-8 */
CNVDEF cnv_optimizer cnv_adam(double rate, double weight_decay);
/* One step on all parameters from the gradients that cnv_backward collected, then zeroes those.
     SGD:  m = momentum*m + g,  w -= rate*m                                    (Polyak 1964)
     Adam: m, v = running means of g and g^2,  w -= rate * (m^ / (sqrt(v^) + eps) + decay*w)
           (Kingma 2015; m^, v^: corrected for their start at 0) */
CNVDEF int cnv_step(cnv_net *net, cnv_optimizer *optimizer);

/* ---- 2.6 Files ----

   Safetensors: 8 bytes header length N (little endian), N bytes of JSON
     {"conv1.weight":{"dtype":"F32","shape":[64,3,7,7],"data_offsets":[0,37632]}, ...}
   and the tensors' bytes, without holes. F32, F16, BF16 and F64 can be read as numbers; other types
   are listed. A file is refused as a whole unless all of it is right. */
typedef struct {
    const char *name;             /* zero-terminated UTF-8 */
    char dtype[8];                /* "F32", "BF16", "I64", ... */
    int rank;                     /* 0 ... 8 */
    size_t shape[8];
    const unsigned char *bytes;   /* little endian, perhaps unaligned */
    size_t byte_count;
} cnv_safetensor;

typedef struct cnv_safetensors {
    cnv_safetensor *tensors;      /* in the order of their bytes */
    int count;
    int metadata_count;
    const char **metadata;        /* key, value, key, value, ...: 2*metadata_count strings */
    void *memory, *map;           /* what to free; the mapped or read file */
    size_t map_bytes;
    int mapped;
} cnv_safetensors;

/* Parses a safetensors file in memory; the bytes must outlive the result. NULL with cnv_error(). */
CNVDEF cnv_safetensors *cnv_safetensors_parse(const void *bytes, size_t count);
/* By name or key; NULL with cnv_error() if there is none. */
CNVDEF const cnv_safetensor *cnv_safetensors_find(const cnv_safetensors *file, const char *name);
CNVDEF const char *cnv_safetensors_metadata(const cnv_safetensors *file, const char *key);
/* Converts a tensor's numbers into `count` cnv_reals; fails on integer types or another count. */
CNVDEF int cnv_safetensor_read(const cnv_safetensor *tensor, cnv_real *values, size_t count);
CNVDEF void cnv_safetensors_close(cnv_safetensors *file);

/* Gives every parameter of the network the tensor of its name and shape (the weight of a linear
   layer may be [out,C,H,W], too). All are checked before any is changed. Tensors that have no place
   here are counted in unused_tensors. The file is read into the parameters, or kept (by cnv_load,
   below). */
CNVDEF int cnv_load_parsed(cnv_net *net, const cnv_safetensors *file);

/* A PNM image in memory: P2 P3 P5 P6, 8 or 16 bit, comments. image [1,1 or 3,H,W] in [0,1]. */
CNVDEF int cnv_pnm_decode(const void *bytes, size_t count, cnv_tensor *image);

#ifndef CNNVIS_NO_STDIO
CNVDEF cnv_safetensors *cnv_safetensors_open(const char *path); /* mapped where the system can */
/* cnv_load_parsed from a file. F32 weights stay mapped where the system can, so that a large
   network loads in no time; they are yours to change all the same (pages are copied when written).
   */
CNVDEF int cnv_load(cnv_net *net, const char *path);
/* Writes all parameters as F32. metadata: key, value, ..., NULL; or NULL. The file appears whole or
   not at all. */
CNVDEF int cnv_save(const cnv_net *net, const char *path, const char *const *metadata);
/* The same for any tensors under their names, [n,c,h,w] each: maps, codes, pictures, for another
   program to read (in Python: safetensors.numpy.load_file). */
CNVDEF int cnv_safetensors_save(const char *path, const char *const *names,
                                const cnv_tensor *tensors, int count, const char *const *metadata);

/* image [1,1 or 3,H,W] in [0,1]. PNM; JPEG, PNG and the rest, too, if stb_image.h was included
   before the implementation (transparency is ignored). */
CNVDEF int cnv_image_load(const char *path, cnv_tensor *image);
/* By the ending of path: .png (needs stb_image_write.h on the system when compiling), .ppm, .pgm.
   image [1,1 or 3,H,W]; values are clamped to [0,1] and rounded to 8 bits. */
CNVDEF int cnv_image_save(const char *path, const cnv_tensor *image);
#endif

/* ---- 2.7 Pictures ----

   A picture is a tensor [1,3,H,W] (or [1,1,H,W]: gray) with values in [0,1]; a colour is three such
   numbers. Drawing clips at the borders and works on both. Coordinates: x to the right, y down, in
   pixels, (0,0) the upper left corner. */
typedef struct {
    float r, g, b;
} cnv_color;
typedef enum { CNV_MAP_GRAY, CNV_MAP_VIRIDIS, CNV_MAP_TURBO, CNV_MAP_RED_WHITE_BLUE } cnv_map;

/* The least and the greatest of the finite values; 0, 0 if there are none. */
CNVDEF void cnv_range(const cnv_tensor *t, double *low, double *high);
/* t in [0,1], clamped; NaN: magenta */
CNVDEF cnv_color cnv_map_color(cnv_map map, double t);
/* values [N,1,H,W] -> rgb [N,3,H,W]: low and below is the map's start, high and above its end, NaN
   magenta; low == high: values equal to it take the map's middle. For CNV_MAP_RED_WHITE_BLUE give
   low = -high: blue < 0, white 0, red > 0. */
CNVDEF int cnv_colorize(const cnv_tensor *values, cnv_map map, double low, double high,
                        cnv_tensor *rgb);
/* Any [N,C,H,W] to h x w: bilinear going up, area-weighted going down. */
CNVDEF int cnv_resize(const cnv_tensor *x, int h, int w, cnv_tensor *y);
/* Nearest neighbour by a whole factor: pixels stay crisp. */
CNVDEF int cnv_enlarge(const cnv_tensor *x, int factor, cnv_tensor *y);
/* Gaussian; the border pixels repeat; 0 <= sigma <= 1000. y may be x. */
CNVDEF int cnv_blur(const cnv_tensor *x, double sigma, cnv_tensor *y);
/* Subtracts the least value and divides by the range, of each image (or each whole channel).
   All equal: 0. y may be x. */
CNVDEF int cnv_stretch(const cnv_tensor *x, int each_channel, cnv_tensor *y);
/* y[n,c,i,j] = x[n,c,i+dy,j+dx]: what leaves on one side enters on the other. Jitter, of gradient
   ascent; rolled by -dx, -dy it is undone. */
CNVDEF int cnv_roll(const cnv_tensor *x, int dx, int dy, cnv_tensor *y);
/* Structural similarity of the gray versions of two pictures [1,C,H,W] in [0,1]: 1 for equal ones,
   the mean over all pixels of (2 a b + .0001) (2 ab' + .0009) / ((a^2 + b^2 + .0001) (a' + b' +
   .0009)); a, b are means, a', b' variances and ab' the covariance under a Gaussian of sigma 1.5
   (Wang et al. 2004). */
CNVDEF int cnv_ssim(const cnv_tensor *x, const cnv_tensor *y, double *similarity);
/* rgb = (1 - a) gray(image) + a turbo(heat), a = opacity * heat stretched to [0,1]. heat [1,1,h,w]
   is resized to the image. An all-equal heat shows the picture in gray, NaN magenta. */
CNVDEF int cnv_overlay(const cnv_tensor *image, const cnv_tensor *heat, double opacity,
                       cnv_tensor *rgb);
/* tiles [N,C,H,W] in rows of `columns`, `gap` white pixels between and around them. columns 0:
   about square. sheet [1,C,...]. */
CNVDEF int cnv_montage(const cnv_tensor *tiles, int columns, int gap, cnv_tensor *sheet);

CNVDEF int cnv_canvas(cnv_tensor *picture, int h, int w, cnv_color color); /* [1,3,h,w], filled */
/* x, y: the tile's upper left corner. A gray tile goes to all channels; colour on gray becomes
   luminance. */
CNVDEF void cnv_paste(cnv_tensor *picture, const cnv_tensor *tile, int x, int y);
CNVDEF void cnv_rectangle(cnv_tensor *picture, int x, int y, int w, int h, cnv_color color);
/* `thick` pixels, inside the box */
CNVDEF void cnv_frame(cnv_tensor *picture, int x, int y, int w, int h, int thick, cnv_color color);
/* Round ends; nothing is drawn where a coordinate is not finite. */
CNVDEF void cnv_line(cnv_tensor *picture, double x0, double y0, double x1, double y1, double thick,
                     cnv_color color);
CNVDEF void cnv_disc(cnv_tensor *picture, double x, double y, double radius, cnv_color color);
/* Text in the built-in font; `size` is the height of a capital letter in pixels. (x,y) is the upper
   left corner of the first capital. Printable ASCII; other bytes show as a box. Position and size
   are rounded to whole pixels, sizes below 3 are drawn as 3. */
CNVDEF void cnv_text(cnv_tensor *picture, double x, double y, double size, cnv_color color,
                     const char *text);
CNVDEF double cnv_text_width(double size, const char *text);

/* A plot: from `cnv_plot plot = {0};` fill in the fields, begin (draws axes and labels), add
   series, save the picture. An empty range of y is widened, a reversed one swapped, an infinite one
   becomes 0 ... 1; x_low == x_high is an axis of categories, for bars. Sizes scale with the
   picture: 1280 x 840 is the same plot, twice as fine. The label of y stands above its axis, the
   legend to the right of it. */
typedef struct {
    const char *title, *x_label, *y_label;
    double x_low, x_high, y_low, y_high; /* the ranges of the axes */
    int width, height;                   /* of the picture; 0: 640 x 420 */
    int left, top, right, bottom;        /* the frame in pixels, set by cnv_plot_begin */
    int series;                          /* how many have been drawn: the next one's colour */
    double legend_x, legend_y;           /* where the next label of the legend goes */
} cnv_plot;
CNVDEF int cnv_plot_begin(cnv_plot *plot, cnv_tensor *picture);
/* label NULL: not in the legend. color NULL: the series' own from a palette that colour-blind
   readers can tell apart. NaN and infinite values are gaps. */
CNVDEF void cnv_plot_line(cnv_plot *plot, cnv_tensor *picture, const double *x, const double *y,
                          int count, const cnv_color *color, const char *label);
CNVDEF void cnv_plot_points(cnv_plot *plot, cnv_tensor *picture, const double *x, const double *y,
                            int count, const cnv_color *color, const char *label);
/* A pale strip between two curves, as for error bars; x ascends. color NULL: that of the series
   drawn next, so draw the band before its line. NaN and infinite values are gaps. */
CNVDEF void cnv_plot_band(const cnv_plot *plot, cnv_tensor *picture, const double *x,
                          const double *low, const double *high, int count, const cnv_color *color);
/* Labels too wide for their bar alternate between two rows; a NaN height is left out. */
CNVDEF void cnv_plot_bars(cnv_plot *plot, cnv_tensor *picture, const double *heights,
                          const char *const *labels, int count, const cnv_color *color);

#ifdef __cplusplus
}
#endif
#endif /* CNNVIS_H */
/* ==================== The implementation: in one source file, once ==================== */
#if defined CNNVIS_IMPLEMENTATION && !defined CNNVIS_IMPLEMENTED
#ifndef CNV__SET /* set while the file includes itself for the kernels: see section 6 */

/* ==================== 3. Errors, memory, random numbers, tensors ==================== */

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined CNNVIS_MALLOC && defined CNNVIS_REALLOC && defined CNNVIS_FREE
#elif !defined CNNVIS_MALLOC && !defined CNNVIS_REALLOC && !defined CNNVIS_FREE
#define CNNVIS_MALLOC(bytes) malloc(bytes)
#define CNV__CALLOC(bytes) calloc(bytes, 1)
#define CNNVIS_REALLOC(p, bytes) realloc(p, bytes)
#define CNNVIS_FREE(p) free(p)
#else
#error "cnnvis.h: define all of CNNVIS_MALLOC, CNNVIS_REALLOC and CNNVIS_FREE, or none"
#endif

#if defined __cplusplus
#define CNV__THREAD_LOCAL thread_local
#elif defined _MSC_VER
#define CNV__THREAD_LOCAL __declspec(thread)
#elif defined __TINYC__
#define CNV__THREAD_LOCAL
#else
#define CNV__THREAD_LOCAL __thread
#endif

static CNV__THREAD_LOCAL char cnv__message[512] = "no error";

CNVDEF const char *cnv_error(void) { return cnv__message; }

/* Leaves a sentence for cnv_error() and returns 0, so that a caller can `return cnv__fail(...)`. */
#ifdef __GNUC__
__attribute__((format(printf, 1, 2)))
#endif
static int cnv__fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cnv__message, sizeof cnv__message, format, arguments);
    va_end(arguments);
    return 0;
}

/* *product = a * b, or 0 when that overflows. */
static int cnv__multiply(size_t a, size_t b, size_t *product)
{
    if (a && b > (size_t)-1 / a) return 0;
    *product = a * b;
    return 1;
}

/* malloc of count * size bytes, checked; NULL with a message. */
static void *cnv__allocate(size_t count, size_t size)
{
    size_t bytes = 0;
    void *p = cnv__multiply(count, size, &bytes) ? CNNVIS_MALLOC(bytes ? bytes : 1) : NULL;
    if (!p) cnv__fail("out of memory: asked for %.0f bytes", (double)count * (double)size);
    return p;
}

/* The same, full of zeroes. The system's calloc leaves large memory untouched: it costs neither
   time nor room until it is used. */
static void *cnv__allocate_zero(size_t count, size_t size)
{
#ifdef CNV__CALLOC
    size_t bytes = 0;
    void *p = cnv__multiply(count, size, &bytes) ? CNV__CALLOC(bytes ? bytes : 1) : NULL;
    if (!p) cnv__fail("out of memory: asked for %.0f bytes", (double)count * (double)size);
#else
    void *p = cnv__allocate(count, size);
    if (p) memset(p, 0, count * size);
#endif
    return p;
}

CNVDEF cnv_rng cnv_rng_seed(uint64_t seed)
{
    cnv_rng rng;
    rng.state = seed;
    return rng;
}

/* splitmix64 (Steele, Lea & Flood 2014): a counter, well stirred. */
static uint64_t cnv__random64(cnv_rng *rng)
{
    uint64_t z = (rng->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

CNVDEF uint32_t cnv_random(cnv_rng *rng) { return (uint32_t)(cnv__random64(rng) >> 32); }

CNVDEF double cnv_uniform(cnv_rng *rng)
{
    return (double)(cnv__random64(rng) >> 11) / 9007199254740992.0; /* 53 bits / 2^53 */
}

/* Box & Muller 1958, using one of the pair. */
CNVDEF double cnv_normal(cnv_rng *rng)
{
    double u = 1 - cnv_uniform(rng), angle = 6.283185307179586 * cnv_uniform(rng);
    return sqrt(-2 * log(u)) * cos(angle);
}

CNVDEF size_t cnv_tensor_size(const cnv_tensor *t)
{
    return (size_t)t->n * (size_t)t->c * (size_t)t->h * (size_t)t->w;
}

CNVDEF cnv_tensor cnv_tensor_view(cnv_real *data, int n, int c, int h, int w)
{
    cnv_tensor t;
    t.data = data;
    t.n = n, t.c = c, t.h = h, t.w = w;
    t.capacity = 0;
    return t;
}

/* With `zero`, memory that has to be asked for is full of zeroes. */
static int cnv__tensor_shape(cnv_tensor *t, int n, int c, int h, int w, int zero)
{
    size_t size = 1, bytes;
    int dimensions[4], i;
    cnv_tensor shaped = cnv_tensor_view(t->data, n, c, h, w);
    dimensions[0] = n, dimensions[1] = c, dimensions[2] = h, dimensions[3] = w;
    for (i = 0; i < 4; i++)
        if (dimensions[i] < 1 || !cnv__multiply(size, (size_t)dimensions[i], &size))
            return cnv__fail("a tensor of %d x %d x %d x %d is impossible", n, c, h, w);
    if (!cnv__multiply(size, sizeof(cnv_real), &bytes) || bytes > PTRDIFF_MAX)
        return cnv__fail("a tensor of %d x %d x %d x %d is too large", n, c, h, w);
    shaped.capacity = t->capacity;
    if (t->data && !t->capacity) {
        if (size != cnv_tensor_size(t))
            return cnv__fail("a view of %d x %d x %d x %d cannot become %d x %d x %d x %d", t->n,
                             t->c, t->h, t->w, n, c, h, w);
    } else if (size > t->capacity) {
        cnv_real *data = (cnv_real *)(zero ? cnv__allocate_zero(size, sizeof(cnv_real))
                                           : cnv__allocate(size, sizeof(cnv_real)));
        if (!data) return 0;
        CNNVIS_FREE(t->data);
        shaped.data = data;
        shaped.capacity = size;
    }
    *t = shaped;
    return 1;
}

CNVDEF int cnv_tensor_resize(cnv_tensor *t, int n, int c, int h, int w)
{
    return cnv__tensor_shape(t, n, c, h, w, 0);
}

CNVDEF int cnv_tensor_copy(const cnv_tensor *from, cnv_tensor *to)
{
    if (!cnv_tensor_resize(to, from->n, from->c, from->h, from->w)) return 0;
    if (to->data != from->data)
        memcpy(to->data, from->data, cnv_tensor_size(from) * sizeof(cnv_real));
    return 1;
}

CNVDEF void cnv_tensor_fill(cnv_tensor *t, double value)
{
    size_t i, size = cnv_tensor_size(t);
    if (value == 0) memset(t->data, 0, size * sizeof *t->data);
    else for (i = 0; i < size; i++) t->data[i] = (cnv_real)value;
}

CNVDEF cnv_tensor cnv_tensor_image(const cnv_tensor *t, int i)
{
    size_t size = (size_t)t->c * (size_t)t->h * (size_t)t->w;
    return cnv_tensor_view(t->data + (size_t)i * size, 1, t->c, t->h, t->w);
}

CNVDEF cnv_tensor cnv_tensor_channel(const cnv_tensor *t, int i, int k)
{
    size_t plane = (size_t)t->h * (size_t)t->w;
    return cnv_tensor_view(t->data + ((size_t)i * (size_t)t->c + (size_t)k) * plane, 1, 1, t->h,
                           t->w);
}

CNVDEF void cnv_tensor_free(cnv_tensor *t)
{
    if (t->capacity) CNNVIS_FREE(t->data);
    memset(t, 0, sizeof *t);
}

/* Fails unless t is n x c x h x w; `what` names it. */
static int cnv__check_shape(const cnv_tensor *t, int n, int c, int h, int w, const char *what)
{
    if (t->n == n && t->c == c && t->h == h && t->w == w) return 1;
    return cnv__fail("%s should be %d x %d x %d x %d, is %d x %d x %d x %d", what, n, c, h, w, t->n,
                     t->c, t->h, t->w);
}

/* Fails unless the two have one shape; `what` names the second. */
static int cnv__check_same(const cnv_tensor *a, const cnv_tensor *b, const char *what)
{
    return cnv__check_shape(b, a->n, a->c, a->h, a->w, what);
}

/* ---- What kernels are given, and the table in which an instruction set offers its kernels ---- */

#define CNV__DEPTH 256   /* rows of a packed panel: 256 x 24 floats are most of a 32 KB cache */
#define CNV__MAX_TILE 48 /* the widest tile of all instruction sets */

/* C (+)= A B, with A [m][k] packed and B, C seen through offset tables. */
typedef struct {
    int m, k;
    const cnv_real *a;         /* panels of tile_rows rows: [m rounded up][k] */
    const cnv_real *b;         /* element (d,j) is b[b_row[d] + b_col[j]] */
    const int *b_row, *b_col;
    cnv_real *c;               /* element (i,j) is c[c_row[i] + c_col[j]] */
    const int *c_row, *c_col;
    const cnv_real *bias;      /* one number a row, or NULL; only without add */
    int add;                   /* 1: C += A B; 0: C = bias + A B */
    int read_on;               /* behind any element of B there is memory to read, for a vector */
    int depth;                 /* then: rows of B at a time */
} cnv__product;

/* The constants of a step of Adam; the corrections for the means' slow start are in rate and root.
   */
typedef struct {
    cnv_real rate, root, eps, keep, beta1, beta2, gain1, gain2; /* gain = 1 - beta */
} cnv__adam;

/* A span: neighbouring windows of pooling that have the same columns of taps on the image, with all
   that are below them. Planes are [H,W] -> [P,Q]. */
typedef struct {
    const cnv_window *win;
    int h, w, p, q;
    int first, n;              /* windows first ... first + n - 1 of each row of windows */
    int left, columns;         /* the first tap's column in the first of them; taps in a row */
    int down, right, step;     /* how far apart taps are, below and beside each other; windows */
    int readable;              /* how much of x there is from the plane's beginning on */
    int padding;               /* whether average pooling counts the padding, */
    cnv_real share;            /* and 1 / the number of columns that it counts */
} cnv__span;

/* Which taps r0 <= r < r1 of a window that starts at `start` lie on an image of `size` pixels. */
static void cnv__clip(int start, int kernel, int dilation, int size, int *r0, int *r1)
{
    *r0 = start < 0 ? (-start + dilation - 1) / dilation : 0;
    *r1 = start < size ? (size - start + dilation - 1) / dilation : 0;
    if (*r1 > kernel) *r1 = kernel;
    if (*r0 > *r1) *r0 = *r1;
}

/* Words of more than a line are inlined into the kernels that use them. */
#if defined __GNUC__ && !defined __TINYC__
#define CNV__WORD static inline __attribute__((always_inline))
#else
#define CNV__WORD static inline
#endif

/* A band is as much of max pooling as stays in the first-level cache: so many columns and rows of
   windows. Planes are [H,W] -> [P,Q]. */
enum { CNV__BAND = 8192, CNV__LINE = 1024 };
typedef struct {
    const cnv_window *win;
    int h, w, p, q;
    int reach_h, reach_w;        /* rows and columns from a window's first tap to its last */
    int first_p, rows, first_q, columns; /* the windows of this band */
    int before, after, length;   /* where the image begins and ends in a line from the first tap on,
                                    and the line's end, beyond all that vectors read */
    const cnv_real *x, *end;     /* the plane, and where there is no more to read */
    const cnv_real *taps;        /* where cnv__band_copy has the first tap, */
    int pitch;                   /* and how far apart rows of taps are there */
    cnv_real lines[CNV__BAND];
} cnv__band;

/* The columns of a band, for 16 windows more than there are: vectors go on behind the last. */
static void cnv__band_columns(cnv__band *b, int first_q, int columns)
{
    int step = b->win->stride_w, left = first_q * step - b->win->pad_left;
    int needed = (columns - 1) * step + b->reach_w;
    b->first_q = first_q, b->columns = columns;
    b->before = left < 0 ? -left : 0, b->after = left + needed < b->w ? needed : b->w - left;
    if (b->before > needed) b->before = needed;
    if (b->after < b->before) b->after = b->before;
    b->length = needed + 16 * step + 16;
}

/* Finds all taps of a band in the image, if they can be read there with what vectors read beyond,
   or else in a copy with -infinity for the padding, and 0 behind the last tap. */
static void cnv__band_copy(cnv__band *b)
{
    const cnv_window *win = b->win;
    int top = b->first_p * win->stride_h - win->pad_top, left = b->first_q * win->stride_w, y, i;
    int rows = (b->rows - 1) * win->stride_h + b->reach_h;
    int needed = (b->columns - 1) * win->stride_w + b->reach_w;
    b->taps = b->x + top * b->w + left - win->pad_left, b->pitch = b->w;
    if (top >= 0 && top + rows <= b->h && b->before == 0 && b->after == needed &&
        b->end - b->taps >= (rows - 1) * b->w + b->length)
        return;
    for (y = 0; y < rows; y++) {
        cnv_real *line = b->lines + y * b->length;
        int inside = top + y >= 0 && top + y < b->h;
        int before = inside ? b->before : needed, after = inside ? b->after : needed;
        for (i = 0; i < before; i++) line[i] = -(cnv_real)HUGE_VAL;
        if (inside)
            memcpy(line + before, b->taps + y * b->w + before,
                   sizeof *line * (size_t)(after - before));
        for (i = after; i < needed; i++) line[i] = -(cnv_real)HUGE_VAL;
        memset(line + needed, 0, sizeof *line * (size_t)(b->length - needed));
    }
    b->taps = b->lines, b->pitch = b->length;
}

/* 1 / how many taps count in one direction: those on the image, or on image and padding. */
static cnv_real cnv__share(int start, int kernel, int dilation, int size, int before, int after)
{
    int r0, r1;
    cnv__clip(start + before, kernel, dilation, size + before + after, &r0, &r1);
    return r0 < r1 ? 1 / (cnv_real)(r1 - r0) : 0;
}

/* The matrices of Winograd's convolutions F(4x4, 3x3) and F(2x2, 5x5), see 5.2 (Lavin & Gray 2016):
   both take tiles of 6 x 6 to the points 0, 1, -1, 2, -2 and infinity, so B is the same. */
static const cnv_real cnv__winograd_bt[6 * 6] = {
    4, 0, -5, 0, 1, 0,   0, -4, -4, 1, 1, 0,   0, 4, -4, -1, 1, 0,
    0, -2, -1, 2, 1, 0,  0, 2, -1, -2, 1, 0,   0, 4, 0, -5, 0, 1,
};
#define CNV__PART(a, b) ((cnv_real)(a) / (cnv_real)(b))
static const cnv_real cnv__winograd_g3[6 * 3] = {
    CNV__PART(1, 4), 0, 0,
    CNV__PART(-1, 6), CNV__PART(-1, 6), CNV__PART(-1, 6),
    CNV__PART(-1, 6), CNV__PART(1, 6), CNV__PART(-1, 6),
    CNV__PART(1, 24), CNV__PART(2, 24), CNV__PART(4, 24),
    CNV__PART(1, 24), CNV__PART(-2, 24), CNV__PART(4, 24),
    0, 0, 1,
};
static const cnv_real cnv__winograd_g5[6 * 5] = {
    CNV__PART(1, 4), 0, 0, 0, 0,
    CNV__PART(-1, 6), CNV__PART(-1, 6), CNV__PART(-1, 6), CNV__PART(-1, 6), CNV__PART(-1, 6),
    CNV__PART(-1, 6), CNV__PART(1, 6), CNV__PART(-1, 6), CNV__PART(1, 6), CNV__PART(-1, 6),
    CNV__PART(1, 24), CNV__PART(2, 24), CNV__PART(4, 24), CNV__PART(8, 24), CNV__PART(16, 24),
    CNV__PART(1, 24), CNV__PART(-2, 24), CNV__PART(4, 24), CNV__PART(-8, 24), CNV__PART(16, 24),
    0, 0, 0, 0, 1,
};
static const cnv_real cnv__winograd_at4[4 * 6] = {
    1, 1, 1, 1, 1, 0,  0, 1, -1, 2, -2, 0,  0, 1, 1, 4, 4, 0,  0, 1, -1, 8, -8, 1,
};
static const cnv_real cnv__winograd_at2[2 * 6] = {
    1, 1, 1, 1, 1, 0,  0, 1, -1, 2, -2, 1,
};
typedef enum { CNV__BT, CNV__AT, CNV__A, CNV__GT } cnv__winograd_matrix;

/* Some rows of M X M^T, lane by lane, and how far apart the numbers of X and the result y are. */
typedef struct {
    cnv__winograd_matrix matrix;
    int size, first, last, lanes; /* of the filter; the rows from first to before last */
    size_t x_row, x_column, y_row, y_column;
} cnv__basis;
#define CNV__TILES 96      /* as many tiles go through Winograd's convolution at a time, */
#define CNV__FILTERS 64    /* with at most so many filters; a multiple of all tile_rows; */
#define CNV__TILES_MORE 16 /* and room for a vector beyond the tiles */

typedef struct {
    const char *name;
    int width, tile_rows, tile_columns; /* of a vector; of the matrix product's tile */
    void (*pack)(const cnv_real *data, const int *across, int lanes, const int *along, int depth,
                 int width, cnv_real *panel);
    void (*product)(const cnv__product *g, int j0, int j1, cnv_real *panel);
    void (*dots)(const cnv_real *a, const cnv_real *const *b, const int *b_row, int depth,
                 cnv_real *sums);
    void (*deal)(int step, const cnv_real *from, int count, cnv_real *to, int stride);
    void (*gather)(int step, const cnv_real *from, int stride, int count, cnv_real *to);
    void (*winograd_filters)(int size, int channels, int flip, const cnv_real *g, cnv_real *u,
                             size_t step);
    void (*winograd_input)(int out, int tiles, const cnv_real *rows, int width, cnv_real *v,
                           size_t step);
    void (*winograd_output)(int out, int tiles, const cnv_real *m, size_t step, cnv_real bias,
                            cnv_real *rows, int width);
    void (*winograd_rows)(const cnv__basis *to, const cnv_real *x, cnv_real *y);
    void (*relu_forward)(size_t n, const cnv_real *x, cnv_real *y);
    void (*relu_backward)(cnv_relu_rule rule, size_t n, const cnv_real *x, const cnv_real *dy,
                          cnv_real *dx);
    void (*add)(size_t n, const cnv_real *a, const cnv_real *b, cnv_real *y);
    void (*multiply)(size_t n, const cnv_real *a, const cnv_real *b, cnv_real *y);
    void (*affine)(size_t n, cnv_real scale, cnv_real shift, const cnv_real *x, cnv_real *y);
    void (*add_scaled)(size_t n, cnv_real a, const cnv_real *x, cnv_real *y);
    cnv_real (*dot)(size_t n, const cnv_real *a, const cnv_real *b);
    cnv_real (*total)(size_t n, const cnv_real *x);
    void (*sgd)(size_t n, cnv_real rate, cnv_real momentum, cnv_real decay, const cnv_real *g,
                cnv_real *m, cnv_real *w);
    void (*adam)(const cnv__adam *a, size_t n, const cnv_real *g, cnv_real *m, cnv_real *v,
                 cnv_real *w);
    int (*max_band)(cnv__band *b, cnv_real *y);
    int (*switch_band)(const cnv__band *b, const cnv_real *y, cnv_real *switches);
    void (*unpool_pairs)(const cnv_real *dy, const cnv_real *switches, int p_count, int q_count,
                         cnv_real *dx, int h, int w);
    void (*mean_span)(const cnv__span *a, int p0, int p1, const cnv_real *x, cnv_real *y);
    void (*mean_span_backward)(const cnv__span *a, const cnv_real *dy, cnv_real *dx);
} cnv__kernels;

/* How many rows of taps windows in row p have on the image; the first one's place. */
CNV__WORD int cnv__span_rows(const cnv__span *a, int p, int *place)
{
    const cnv_window *win = a->win;
    int top = p * win->stride_h - win->pad_top, r0 = 0, r1 = win->kernel_h;
    if (top < 0 || top + (r1 - 1) * win->dilation_h >= a->h)
        cnv__clip(top, win->kernel_h, win->dilation_h, a->h, &r0, &r1);
    *place = top * a->w + r0 * a->down + a->left;
    return r1 - r0;
}

/* Whether `most` windows can be read from there on without leaving x, if there are fewer. */
CNV__WORD int cnv__span_readable(const cnv__span *a, int place, int rows, int most)
{
    return a->n >= most || place + (rows - 1) * a->down + (a->columns - 1) * a->right +
        (most - 1) * a->step < a->readable;
}

/* How many lanes of a vector may be written to [P,Q] from there on. What follows the windows that
   lie on the image from left to right will be written later. */
CNV__WORD int cnv__span_lanes(const cnv__span *a, int out, int width)
{
    int on_image = a->columns == a->win->kernel_w;
    return a->n >= width || (on_image && a->p * a->q - out >= width) ? width : a->n;
}

/* 2 or 3 for squares of that size at stride 2, else 0. */
static int cnv__span_size(const cnv__span *a)
{
    int size = a->win->kernel_h, twos = a->step == 2 && a->right == 1 && a->columns == size;
    return twos && (size == 2 || size == 3) ? size : 0;
}

/* 1 / the area that average pooling divides by in row p, with so many rows of taps. */
static cnv_real cnv__span_share(const cnv__span *a, int p, int rows)
{
    const cnv_window *win = a->win;
    if (rows == win->kernel_h) return a->share * (1 / (cnv_real)rows);
    return a->share * cnv__share(p * win->stride_h - win->pad_top, win->kernel_h, win->dilation_h,
                                 a->h, a->padding ? win->pad_top : 0,
                                 a->padding ? win->pad_bottom : 0);
}

/* Small loops of known length are to be unrolled, so that a tile's sums stay in registers. */
#if defined __clang__
#define CNV__UNROLL _Pragma("clang loop unroll(full)")
#elif defined __GNUC__ && !defined __TINYC__
#define CNV__UNROLL _Pragma("GCC unroll 32")
#else
#define CNV__UNROLL
#endif

#if !defined CNNVIS_NO_SIMD && !defined CNNVIS_REAL && !defined __TINYC__
#if defined __x86_64__ || defined _M_X64
#define CNV__X86
#include <immintrin.h>
#elif defined __aarch64__ || defined _M_ARM64
#define CNV__ARM
#include <arm_neon.h>
#ifdef _MSC_VER
#define CNV__PREFETCH(p) __prefetch(p)
#else
#define CNV__PREFETCH(p) __builtin_prefetch(p)
#endif
#endif
#endif

#endif /* CNV__SET: sections 4 and 5 are compiled once per instruction set */

/* ==================== 4. Vocabulary: the words that kernels are written in ==================== */

#ifdef CNV__SET /* one of the four: */
#define CNV__SCALAR 1
#define CNV__AVX2 2
#define CNV__AVX512 3
#define CNV__NEON 4

/* Each word stands here once, with its meaning in plain C and its three translations side by side.
   CNV__PICK keeps the one of the instruction set that is being compiled. AVX-512 has the words of
   the matrix product only: all else is limited by memory, where AVX2's kernels are as fast. */
#if CNV__SET == CNV__SCALAR
#define CNV__PICK(scalar, avx2, avx512, neon) scalar
#define CNV__PICK3(scalar, avx2, neon) scalar
#define CNV__NAME(name) cnv__##name##_scalar
#elif CNV__SET == CNV__AVX2
#define CNV__PICK(scalar, avx2, avx512, neon) avx2
#define CNV__PICK3(scalar, avx2, neon) avx2
#define CNV__NAME(name) cnv__##name##_avx2
#elif CNV__SET == CNV__AVX512
#define CNV__PICK(scalar, avx2, avx512, neon) avx512
#define CNV__NAME(name) cnv__##name##_avx512
#else
#define CNV__PICK(scalar, avx2, avx512, neon) neon
#define CNV__PICK3(scalar, avx2, neon) neon
#define CNV__NAME(name) cnv__##name##_neon
#endif

#define V_TYPE CNV__PICK(cnv_real, __m256, __m512, float32x4_t) /* a vector of reals */
#define V_MASK CNV__PICK3(int, __m256, uint32x4_t)              /* a yes or no for each lane */
enum {
    CNV__NAME(width) = CNV__PICK(1, 8, 16, 4),    /* lanes in a vector */
    CNV__NAME(tile_rows) = CNV__PICK(4, 4, 8, 8), /* the matrix product's tile: rows x vectors */
    CNV__NAME(tile_vectors) = CNV__PICK(4, 3, 3, 3)
};
#define V_WIDTH CNV__NAME(width)
#define TILE_ROWS CNV__NAME(tile_rows)
#define TILE_VECTORS CNV__NAME(tile_vectors)
#define TILE_COLUMNS (TILE_VECTORS * V_WIDTH)

/*      word               scalar              AVX2 + FMA                AVX-512            NEON  */

/* all lanes 0; all lanes x; lanes from and to memory, which need not be aligned */
#define v_zero() \
    CNV__PICK(0, _mm256_setzero_ps(), _mm512_setzero_ps(), vdupq_n_f32(0))
#define v_all(x) \
    CNV__PICK((x), _mm256_set1_ps(x), _mm512_set1_ps(x), vdupq_n_f32(x))
#define v_load(p) \
    CNV__PICK(*(p), _mm256_loadu_ps(p), _mm512_loadu_ps(p), vld1q_f32(p))
#define v_store(p, a) \
    CNV__PICK((void)(*(p) = (a)), _mm256_storeu_ps(p, a), _mm512_storeu_ps(p, a), vst1q_f32(p, a))

/* a hint that p will be needed soon */
#define v_prefetch(p) \
    CNV__PICK((void)0, _mm_prefetch((const char *)(p), _MM_HINT_T0), \
              _mm_prefetch((const char *)(p), _MM_HINT_T0), CNV__PREFETCH(p))

/* arithmetic, lane by lane; v_fma is a * b + c, in one rounding where the hardware has it */
#define v_add(a, b) \
    CNV__PICK((a) + (b), _mm256_add_ps(a, b), _mm512_add_ps(a, b), vaddq_f32(a, b))
#define v_fma(a, b, c) \
    CNV__PICK((a) * (b) + (c), _mm256_fmadd_ps(a, b, c), _mm512_fmadd_ps(a, b, c), \
              vfmaq_f32(c, a, b))
#define v_mul(a, b) CNV__PICK3((a) * (b), _mm256_mul_ps(a, b), vmulq_f32(a, b))
#define v_div(a, b) CNV__PICK3((a) / (b), _mm256_div_ps(a, b), vdivq_f32(a, b))
#define v_sqrt(a) CNV__PICK3((cnv_real)sqrt(a), _mm256_sqrt_ps(a), vsqrtq_f32(a))

/* max(a, 0); a NaN stays: x86 returns the second operand when one of the two is a NaN */
#define v_relu(a) \
    CNV__PICK3((a) < 0 ? 0 : (a), _mm256_max_ps(_mm256_setzero_ps(), a), \
               vmaxq_f32(a, vdupq_n_f32(0)))

/* the greater of two, neither of them a NaN */
#define v_max(a, b) CNV__PICK3((a) > (b) ? (a) : (b), _mm256_max_ps(a, b), vmaxq_f32(a, b))

/* comparisons give masks: a > b; a == b; a or b is a NaN; both of two masks, one of them */
#define v_greater(a, b) \
    CNV__PICK3((a) > (b), _mm256_cmp_ps(a, b, _CMP_GT_OQ), vcgtq_f32(a, b))
#define v_equal(a, b) CNV__PICK3((a) == (b), _mm256_cmp_ps(a, b, _CMP_EQ_OQ), vceqq_f32(a, b))
#define v_unordered(a, b) \
    CNV__PICK3((a) != (a) || (b) != (b), _mm256_cmp_ps(a, b, _CMP_UNORD_Q), \
               vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))))
#define v_both(m, n) CNV__PICK3((m) && (n), _mm256_and_ps(m, n), vandq_u32(m, n))
#define v_either(m, n) CNV__PICK3((m) || (n), _mm256_or_ps(m, n), vorrq_u32(m, n))
/* whether the mask says yes for any lane */
#define v_any(m) CNV__PICK3((m), (_mm256_movemask_ps(m) != 0), (vmaxvq_u32(m) != 0))

/* a where the mask says yes, else 0 */
#define v_keep(m, a) \
    CNV__PICK3((m) ? (a) : 0, _mm256_and_ps(m, a), \
               vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a))))

/* a where the mask says yes, else b */
#define v_select(m, a, b) CNV__PICK3((m) ? (a) : (b), _mm256_blendv_ps(b, a, m), vbslq_f32(m, a, b))

/* Words of more than a line. The first n lanes (n <= V_WIDTH) from memory, the others 0: nothing
   beyond p[n-1] is touched. */
CNV__WORD V_TYPE CNV__NAME(load_first)(const cnv_real *p, int n)
{
#if CNV__SET == CNV__AVX2
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
#elif CNV__SET == CNV__AVX512
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    cnv_real lanes[V_WIDTH] = {0};
    int i;
    for (i = 0; i < n; i++) lanes[i] = p[i];
    return v_load(lanes);
#endif
}
#define v_load_first CNV__NAME(load_first)

/* The first n lanes (n <= V_WIDTH) to memory. */
CNV__WORD void CNV__NAME(store_first)(cnv_real *p, V_TYPE a, int n)
{
#if CNV__SET == CNV__AVX2
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), a);
#elif CNV__SET == CNV__AVX512
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
#else
    cnv_real lanes[V_WIDTH];
    int i;
    v_store(lanes, a);
    for (i = 0; i < n; i++) p[i] = lanes[i];
#endif
}
#define v_store_first CNV__NAME(store_first)

/* Keeps what was loaded in its register; gcc would load it anew for each use. */
#if defined __GNUC__ && (CNV__SET == CNV__AVX2 || CNV__SET == CNV__AVX512)
#define v_hold(a) __asm__("" : "+v"(a))
#else
#define v_hold(a) (void)0
#endif

/* The sum of all lanes. */
CNV__WORD cnv_real CNV__NAME(sum)(V_TYPE a)
{
#if CNV__SET == CNV__SCALAR
    return a;
#elif CNV__SET == CNV__AVX2
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
#elif CNV__SET == CNV__AVX512
    return _mm512_reduce_add_ps(a);
#else
    return vaddvq_f32(a);
#endif
}
#define v_sum CNV__NAME(sum)

/* Every second number: p[0], p[2], ... p[2 * V_WIDTH - 2], and nothing beyond is touched. */
CNV__WORD V_TYPE CNV__NAME(load_second)(const cnv_real *p)
{
#if CNV__SET == CNV__SCALAR
    return *p;
#elif CNV__SET == CNV__AVX2
    __m256 pairs = _mm256_shuffle_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 7), 0xD8);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xD8));
#elif CNV__SET == CNV__AVX512
    const __m512i pick =
        _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_ps(_mm512_loadu_ps(p), pick, _mm512_loadu_ps(p + 15));
#else
    float32x4_t high = vld1q_f32(p + 3);
    return vuzp1q_f32(vld1q_f32(p), vextq_f32(high, high, 1));
#endif
}

/* V_WIDTH numbers `step` apart. */
CNV__WORD V_TYPE CNV__NAME(load_step)(const cnv_real *p, int step)
{
    cnv_real lanes[V_WIDTH];
    int i;
    if (step == 1) return v_load(p);
    if (step == 2) return CNV__NAME(load_second)(p);
    for (i = 0; i < V_WIDTH; i++) lanes[i] = p[i * step];
    return v_load(lanes);
}
#define v_load_step CNV__NAME(load_step)

/* Takes pairs apart: of 2 * V_WIDTH numbers in two vectors, those at even and those at odd places.
   */
CNV__WORD void CNV__NAME(unzip)(V_TYPE low, V_TYPE high, V_TYPE *even, V_TYPE *odd)
{
#if CNV__SET == CNV__SCALAR
    *even = low, *odd = high;
#elif CNV__SET == CNV__AVX2
    __m256 a = _mm256_permute2f128_ps(low, high, 0x20), b = _mm256_permute2f128_ps(low, high, 0x31);
    *even = _mm256_shuffle_ps(a, b, 0x88);
    *odd = _mm256_shuffle_ps(a, b, 0xDD);
#elif CNV__SET == CNV__AVX512
    const __m512i pick =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    *even = _mm512_permutex2var_ps(low, pick, high);
    *odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(pick, _mm512_set1_epi32(1)), high);
#else
    *even = vuzp1q_f32(low, high), *odd = vuzp2q_f32(low, high);
#endif
}
#define v_unzip CNV__NAME(unzip)

/* And together: low = even[0], odd[0], even[1], odd[1], ..., and high the rest. */
CNV__WORD void CNV__NAME(zip)(V_TYPE even, V_TYPE odd, V_TYPE *low, V_TYPE *high)
{
#if CNV__SET == CNV__SCALAR
    *low = even, *high = odd;
#elif CNV__SET == CNV__AVX2
    __m256 a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
    *low = _mm256_permute2f128_ps(a, b, 0x20);
    *high = _mm256_permute2f128_ps(a, b, 0x31);
#elif CNV__SET == CNV__AVX512
    const __m512i pick = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    *low = _mm512_permutex2var_ps(even, pick, odd);
    *high = _mm512_permutex2var_ps(even, _mm512_add_epi32(pick, _mm512_set1_epi32(8)), odd);
#else
    *low = vzip1q_f32(even, odd), *high = vzip2q_f32(even, odd);
#endif
}
#define v_zip CNV__NAME(zip)

/* Rows become columns: of `rows` vectors, a power of two and at most V_WIDTH, lane 0 of each, then
   lane 1 of each, and so on. Each zip of the first half of the vectors with the second moves one
   binary digit of the row into the lane. `rows` is a constant to the compiler. */
CNV__WORD void CNV__NAME(transpose)(int rows, V_TYPE *v)
{
    V_TYPE zipped[V_WIDTH];
    int done, i;
    CNV__UNROLL for (done = 1; done < rows; done *= 2) {
        CNV__UNROLL for (i = 0; i < rows / 2; i++)
            v_zip(v[i], v[i + rows / 2], &zipped[2 * i], &zipped[2 * i + 1]);
        CNV__UNROLL for (i = 0; i < rows; i++) v[i] = zipped[i];
    }
}
#define v_transpose CNV__NAME(transpose)

#if CNV__SET != CNV__AVX512

/* start, start + step, start + 2 * step, ... */
CNV__WORD V_TYPE CNV__NAME(ramp)(int start, int step)
{
    cnv_real lanes[V_WIDTH];
    int i;
    for (i = 0; i < V_WIDTH; i++) lanes[i] = (cnv_real)(start + i * step);
    return v_load(lanes);
}
#define v_ramp CNV__NAME(ramp)

/* Adds to p[0], p[step], p[2 * step], ...; step is 1 or 2; touches step * V_WIDTH numbers. */
CNV__WORD void CNV__NAME(add_step)(cnv_real *p, V_TYPE a, int step)
{
    V_TYPE even, odd, low, high;
    if (step == 1) {
        v_store(p, v_add(v_load(p), a));
        return;
    }
    v_unzip(v_load(p), v_load(p + V_WIDTH), &even, &odd);
    v_zip(v_add(even, a), odd, &low, &high);
    v_store(p, low);
    v_store(p + V_WIDTH, high);
}
#define v_add_step CNV__NAME(add_step)

/* The taps of a row of windows that are 2 or 3 wide, at stride 2: from p, p + 1 and p + 2 on. */
CNV__WORD void CNV__NAME(load_taps)(const cnv_real *p, int size, V_TYPE *taps)
{
#if CNV__SET == CNV__SCALAR
    taps[0] = p[0], taps[1] = p[1];
#else
    v_unzip(v_load(p), v_load(p + V_WIDTH), &taps[0], &taps[1]);
#endif
    if (size == 3) taps[2] = v_load_step(p + 2, 2);
}
#define v_load_taps CNV__NAME(load_taps)

/* The first n lanes, all of them or none, for any n. */
CNV__WORD V_TYPE CNV__NAME(load_lanes)(const cnv_real *p, int n)
{
    return n >= V_WIDTH ? v_load(p) : n > 0 ? v_load_first(p, n) : v_zero();
}
#define v_load_lanes CNV__NAME(load_lanes)

CNV__WORD void CNV__NAME(store_lanes)(cnv_real *p, V_TYPE a, int n)
{
    if (n >= V_WIDTH) v_store(p, a);
    else if (n > 0) v_store_first(p, a, n);
}
#define v_store_lanes CNV__NAME(store_lanes)

#endif /* not AVX-512 */

/* ==================== 5. Kernels: the inner loops, in those words ==================== */

/* ---- 5.1 The matrix product ----

   C += A B, after Goto & van de Geijn 2008. A, and in most cases B, are first copied ("packed")
   into panels in the order in which the tile reads them, so that the innermost loop only walks
   forward:

                     B packed: columns of TILE_COLUMNS
                       +----+----+----+
                     k |    |    |    |        the tile: TILE_ROWS x TILE_VECTORS vectors of C
                       |  | |    |    |        stay in registers while k runs; each step loads
                       +--v-+----+----+        one row of B's panel and broadcasts each of
     A packed:  +---+  +----+----+----+        A's TILE_ROWS numbers.
     rows of    | ->|  |tile|    |    |
     TILE_ROWS  +---+  +----+----+----+
                |   |  |    |    |    |
                +---+  +----+----+----+

   All operands are seen through a pair of offset tables: element (i,j) is data[row[i] + col[j]].
   For a matrix, row[i] = i * width and col[j] = j. For its transpose, the other way round. And for
   the matrix of im2col, whose row is a tap (c,r,s) and whose column a pixel (p,q):
     row = where tap (c,r,s) lies in the window,  col = where the window of pixel (p,q) begins,
   so that matrix need never be built. */

/* How many of the offsets, at most `most`, follow one another. */
static int CNV__NAME(run)(const int *offset, int most)
{
    int n = 1;
    while (n < most && offset[n] == offset[0] + n) n++;
    return n;
}

/* panel[d][lane] = data[across[lane] + along[d]] for up to V_WIDTH lanes that are neighbours */
static void CNV__NAME(pack_vector)(const cnv_real *data, int lanes, const int *along, int depth,
                                   int width, cnv_real *panel)
{
    int d;
    if (lanes == V_WIDTH)
        for (d = 0; d < depth; d++) v_store(panel + d * width, v_load(data + along[d]));
    else
        for (d = 0; d < depth; d++)
            v_store_first(panel + d * width, v_load_first(data + along[d], lanes), lanes);
}

/* The same for lanes anywhere: where V_WIDTH numbers of the depth are neighbours, as many rows are
   loaded and transposed, elsewhere lane by lane. */
static void CNV__NAME(pack_lanes)(const cnv_real *data, const int *across, int lanes,
                                  const int *along, int depth, int width, cnv_real *panel)
{
    enum { ROWS = TILE_ROWS < V_WIDTH ? TILE_ROWS : V_WIDTH }; /* of a whole panel of A */
    V_TYPE block[V_WIDTH];
    int d, i, j, rows, whole = lanes == ROWS && width == ROWS;
    for (d = 0; d < depth; d += rows, along += rows, panel += rows * width) {
        int apart = 0;
        rows = depth - d < V_WIDTH ? depth - d : V_WIDTH;
        for (j = 0; j < rows; j++) apart |= along[j] - along[0] - j;
        if (apart || 4 * lanes < V_WIDTH || 4 * rows < V_WIDTH) {
            for (i = 0; i < lanes; i++)
                for (j = 0; j < rows; j++) panel[j * width + i] = data[across[i] + along[j]];
        } else if (rows < V_WIDTH) {
            for (i = 0; i < V_WIDTH; i++)
                block[i] = i < lanes ? v_load_first(data + across[i] + along[0], rows) : v_zero();
            v_transpose(V_WIDTH, block);
            for (j = 0; j < rows; j++) v_store_first(panel + j * width, block[j], lanes);
        } else if (whole) {
            CNV__UNROLL for (i = 0; i < ROWS; i++) block[i] = v_load(data + across[i] + along[0]);
            v_transpose(ROWS, block);
            CNV__UNROLL for (i = 0; i < ROWS; i++) v_store(panel + i * V_WIDTH, block[i]);
        } else {
            for (i = 0; i < V_WIDTH; i++)
                block[i] = i < lanes ? v_load(data + across[i] + along[0]) : v_zero();
            v_transpose(V_WIDTH, block);
            for (j = 0; j < V_WIDTH; j++) v_store_first(panel + j * width, block[j], lanes);
        }
    }
}

/* panel[d][lane] = data[across[lane] + along[d]], 0 from lane `lanes` on; panel [depth][width] */
static void CNV__NAME(pack)(const cnv_real *data, const int *across, int lanes, const int *along,
                            int depth, int width, cnv_real *panel)
{
    int i, d, n, rest, apart = depth > 1 && along[1] != along[0] + 1;
    for (i = 0; i < lanes; i += n) {
        rest = lanes - i < V_WIDTH ? lanes - i : V_WIDTH;
        n = CNV__NAME(run)(across + i, rest);
        if (apart || 4 * n >= V_WIDTH || n == lanes - i) {
            CNV__NAME(pack_vector)(data + across[i], n, along, depth, width, panel + i);
        } else {
            n = rest;
            CNV__NAME(pack_lanes)(data, across + i, n, along, depth, width, panel + i);
        }
    }
    for (; i < width; i++)
        for (d = 0; d < depth; d++) panel[d * width + i] = 0;
}

/* Deals numbers out in turn: to[j * stride + i] = from[step * i + j], j < step, i < count */
static void CNV__NAME(deal)(int step, const cnv_real *from, int count, cnv_real *to, int stride)
{
    V_TYPE even[2], odd[2], hand[4];
    int i = 0, j;
    for (; step == 2 && i + V_WIDTH <= count; i += V_WIDTH) {
        v_unzip(v_load(from + 2 * i), v_load(from + 2 * i + V_WIDTH), &even[0], &odd[0]);
        v_store(to + i, even[0]);
        v_store(to + stride + i, odd[0]);
    }
    for (; step == 4 && i + V_WIDTH <= count; i += V_WIDTH) {
        const cnv_real *cards = from + 4 * i;
        v_unzip(v_load(cards), v_load(cards + V_WIDTH), &even[0], &odd[0]);
        v_unzip(v_load(cards + 2 * V_WIDTH), v_load(cards + 3 * V_WIDTH), &even[1], &odd[1]);
        v_unzip(even[0], even[1], &hand[0], &hand[2]);
        v_unzip(odd[0], odd[1], &hand[1], &hand[3]);
        for (j = 0; j < 4; j++) v_store(to + j * stride + i, hand[j]);
    }
    for (; i < count; i++)
        for (j = 0; j < step; j++) to[j * stride + i] = from[step * i + j];
}

/* And gathers them again: to[step * i + j] = from[j * stride + i] */
static void CNV__NAME(gather)(int step, const cnv_real *from, int stride, int count, cnv_real *to)
{
    V_TYPE low, high;
    int i = 0, j;
    for (; step == 2 && i + V_WIDTH <= count; i += V_WIDTH) {
        v_zip(v_load(from + i), v_load(from + stride + i), &low, &high);
        v_store(to + 2 * i, low);
        v_store(to + 2 * i + V_WIDTH, high);
    }
    for (; i < count; i++)
        for (j = 0; j < step; j++) to[step * i + j] = from[j * stride + i];
}

/* A tile: up to TILE_VECTORS vectors of neighbouring columns of B and C. */
typedef struct {
    int vectors, depth, onto;           /* onto: C += A B */
    int column[TILE_VECTORS + 1];       /* the first column of each vector; at last, the end */
    const cnv_real *b[TILE_VECTORS];    /* vector j of row d of B begins at b[j] + b_row[d] */
    const int *b_row;
    cnv_real *c[TILE_ROWS];             /* vector j of row i of C begins at c[i] + c_col[j] */
    int c_col[TILE_VECTORS];
} CNV__NAME(tile);

/* C (+)= bias[i] + sum over d of a[d][i] * B[d][j]; bias may be NULL. a [depth][TILE_ROWS].
   `vectors` is a constant to the compiler. */
CNV__WORD void CNV__NAME(multiply_tile)(int vectors, const CNV__NAME(tile) *t, const cnv_real *a,
                                        const cnv_real *bias)
{
    V_TYPE sum[TILE_ROWS][TILE_VECTORS], row[TILE_VECTORS], weight;
    const cnv_real *b[TILE_VECTORS];
    int d, i, j;
    CNV__UNROLL for (j = 0; j < vectors; j++) b[j] = V_WIDTH == 1 ? t->b[0] + j : t->b[j];
    CNV__UNROLL for (i = 0; i < TILE_ROWS; i++)
        CNV__UNROLL for (j = 0; j < vectors; j++) {
            v_prefetch(t->c[i] + t->c_col[j]);
            sum[i][j] = v_zero();
        }
    for (d = 0; d < t->depth; d++, a += TILE_ROWS) {
        CNV__UNROLL for (j = 0; j < vectors; j++) row[j] = v_load(b[j] + t->b_row[d]);
        CNV__UNROLL for (i = 0; i < TILE_ROWS; i++) {
            weight = v_all(a[i]);
            CNV__UNROLL for (j = 0; j < vectors; j++)
                sum[i][j] = v_fma(weight, row[j], sum[i][j]);
        }
    }
    CNV__UNROLL for (i = 0; i < TILE_ROWS; i++)
        CNV__UNROLL for (j = 0; j < vectors; j++) {
            cnv_real *c = t->c[i] + t->c_col[j]; /* rows of C may overlap: see cnv__conv_add_back */
            if (t->onto) v_store(c, v_add(sum[i][j], v_load(c)));
            else if (bias) v_store(c, v_add(sum[i][j], v_all(bias[i])));
            else v_store(c, sum[i][j]);
        }
}

/* Carries a tile that is not whole from `from`, one row after the other, to its place in C. */
static void CNV__NAME(put)(const cnv__product *g, int i0, const CNV__NAME(tile) *t, int onto,
                           const cnv_real *from)
{
    int rows = g->m - i0 < TILE_ROWS ? g->m - i0 : TILE_ROWS, i, j, k, n;
    for (i = 0; i < rows; i++, from += TILE_COLUMNS)
        for (j = 0; j < t->vectors; j++)
            for (k = t->column[j]; k < t->column[j + 1]; k += n) {
                cnv_real *c = g->c + g->c_row[i0 + i] + g->c_col[k];
                V_TYPE start = v_all(g->bias && !onto ? g->bias[i0 + i] : 0);
                const cnv_real *lanes = from + j * V_WIDTH + k - t->column[j];
                n = CNV__NAME(run)(g->c_col + k, t->column[j + 1] - k);
                if (onto) start = v_load_first(c, n);
                v_store_first(c, v_add(v_load_first(lanes, n), start), n);
            }
}

/* Finds the vectors of the next tile, from column j on. Where B is read, not packed, a vector ends
   where neighbours do. There are kernels for 1, 2 and all vectors: behind two come empty ones. The
   last four are taken as two and two, since one alone would wait for its sums. */
static void CNV__NAME(plan)(const cnv__product *g, int j, int j1, int read, CNV__NAME(tile) *t)
{
    int vectors = TILE_VECTORS == 3 && j1 - j == 4 * V_WIDTH ? 2 : TILE_VECTORS;
    for (t->vectors = 0; t->vectors < vectors && (j < j1 || t->vectors > 2); t->vectors++) {
        int most = j1 - j < V_WIDTH ? j1 - j : V_WIDTH;
        t->column[t->vectors] = j;
        j += read ? CNV__NAME(run)(g->b_col + j, most) : most;
    }
    t->column[t->vectors] = j;
}

/* All rows of A times the vectors of a tile. */
static void CNV__NAME(sweep)(const cnv__product *g, CNV__NAME(tile) *t, const cnv_real *a)
{
    cnv_real part[TILE_ROWS * TILE_COLUMNS];
    int onto = t->onto, whole = 1, i, j, r;
    for (j = 0; j < t->vectors; j++)
        whole &= t->column[j + 1] - t->column[j] == V_WIDTH &&
                 CNV__NAME(run)(g->c_col + t->column[j], V_WIDTH) == V_WIDTH;
    for (i = 0; i < g->m; i += TILE_ROWS, a += (size_t)TILE_ROWS * (size_t)g->k) {
        int here = whole && i + TILE_ROWS <= g->m;
        for (r = 0; r < TILE_ROWS; r++)
            t->c[r] = here ? g->c + g->c_row[i + r] : part + r * TILE_COLUMNS;
        for (j = 0; j < t->vectors; j++)
            t->c_col[j] = here ? g->c_col[t->column[j]] : j * V_WIDTH;
        t->onto = here && onto;
        if (t->vectors == 1)
            CNV__NAME(multiply_tile)(1, t, a, here && g->bias && !onto ? g->bias + i : NULL);
        else if (t->vectors == 2)
            CNV__NAME(multiply_tile)(2, t, a, here && g->bias && !onto ? g->bias + i : NULL);
        else
            CNV__NAME(multiply_tile)(TILE_VECTORS, t, a,
                                     here && g->bias && !onto ? g->bias + i : NULL);
        if (!here) CNV__NAME(put)(g, i, t, onto, part);
    }
}

/* Columns j0 ... j1-1 of the product g. One panel of B, CNV__DEPTH rows deep, is packed at a time;
   it stays in the first-level cache while all rows of A pass by, which stay in the second-level
   cache from panel to panel. With read_on B is not packed, but read where it is. */
static void CNV__NAME(product)(const cnv__product *g, int j0, int j1, cnv_real *panel)
{
    int packed_row[CNV__DEPTH], packed_width = 0, read = g->read_on && V_WIDTH > 1, d0, j, i;
    CNV__NAME(tile) t;
    int most = read ? g->depth : CNV__DEPTH;
    for (d0 = 0; d0 < g->k; d0 += most) {
        t.depth = g->k - d0 < most ? g->k - d0 : most;
        for (j = j0; j < j1; j = t.column[t.vectors]) {
            int width;
            CNV__NAME(plan)(g, j, j1, read, &t);
            width = t.vectors * V_WIDTH;
            t.onto = g->add || d0 > 0;
            t.b_row = read ? g->b_row + d0 : packed_row;
            for (i = 0; i < t.vectors; i++)
                t.b[i] = read ? g->b + g->b_col[t.column[i]] : panel + i * V_WIDTH;
            for (i = 0; width != packed_width && i < CNV__DEPTH; i++) packed_row[i] = i * width;
            packed_width = width;
            if (!read)
                CNV__NAME(pack)(g->b, g->b_col + j, t.column[t.vectors] - j, g->b_row + d0, t.depth,
                                width, panel);
            CNV__NAME(sweep)(g, &t, g->a + (size_t)d0 * TILE_ROWS);
        }
    }
}

/* sums[i * TILE_VECTORS + j] = the sum over d and lanes of A[d][i][lane] * B[d][j][lane]: the same
   tile, but lanes lie along the sum. a [depth][TILE_ROWS][V_WIDTH]; B[d][j] begins at
   b[j] + b_row[d]. */
static void CNV__NAME(dots)(const cnv_real *a, const cnv_real *const *b, const int *b_row,
                            int depth, cnv_real *sums)
{
    V_TYPE sum[TILE_ROWS][TILE_VECTORS], right[TILE_VECTORS], left;
    int d, i, j;
    CNV__UNROLL for (i = 0; i < TILE_ROWS; i++)
        CNV__UNROLL for (j = 0; j < TILE_VECTORS; j++) sum[i][j] = v_zero();
    for (d = 0; d < depth; d++, a += TILE_ROWS * V_WIDTH) {
        CNV__UNROLL for (j = 0; j < TILE_VECTORS; j++) right[j] = v_load(b[j] + b_row[d]);
        CNV__UNROLL for (i = 0; i < TILE_ROWS; i++) {
            left = v_load(a + i * V_WIDTH);
            v_hold(left);
            CNV__UNROLL for (j = 0; j < TILE_VECTORS; j++)
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
        }
    }
    CNV__UNROLL for (i = 0; i < TILE_ROWS; i++)
        CNV__UNROLL for (j = 0; j < TILE_VECTORS; j++)
            sums[i * TILE_VECTORS + j] = v_sum(sum[i][j]);
}

/* ---- 5.2 Winograd's convolution ----

   A filter g of 3 x 3 over a tile d of 6 x 6 pixels gives 4 x 4 outputs, by 9 * 16 multiplications;
   in another basis by 36, one for each number of
     Y = A^T [ (G g G^T) . (B^T d B) ] A        "." multiplies number by number
   (Winograd 1980; Lavin & Gray 2016, who give the matrices). One of 5 x 5 gives 2 x 2 outputs, by
   36 in place of 25 * 4. The sum over the channels is taken in that basis, so that each of the 36
   places is a matrix product, filters x channels x tiles. Here are the ways into the basis and out
   of it. Neighbouring tiles are the lanes of a vector. `size` is that of a filter, 3 or 5, `out`
   that of a tile's outputs, 7 - size; both are constants to the compiler. */

/* The sum of m[k * step] * in[k], k < n. m is a constant to the compiler: zeros cost nothing. */
CNV__WORD V_TYPE CNV__NAME(combine)(const cnv_real *m, int step, const V_TYPE *in, int n)
{
    V_TYPE sum = v_zero();
    int k;
    CNV__UNROLL for (k = 0; k < n; k++)
        if (m[k * step] != 0) sum = v_fma(v_all(m[k * step]), in[k], sum);
    return sum;
}

/* A panel of TILE_ROWS filters: u[(i*6 + j) * step + c * TILE_ROWS + lane] = (G g G^T)[i][j] of the
   filter g[c][size*r + s][lane], which flip turns by 180 degrees. Vectors that are longer than a
   row of the panel go on into the next one, and are overwritten by it. */
CNV__WORD void CNV__NAME(filters_of)(int size, int channels, int flip, const cnv_real *g,
                                     cnv_real *u, size_t step)
{
    const cnv_real *matrix = size == 3 ? cnv__winograd_g3 : cnv__winograd_g5;
    const int last = size * size - 1;
    V_TYPE column[5], half[6][5];
    int c, lane, i, j, r;
    for (c = 0; c < channels; c++, g += size * size * TILE_ROWS, u += TILE_ROWS)
        for (lane = 0; lane < TILE_ROWS; lane += V_WIDTH) {
            int whole = c + 1 < channels || TILE_ROWS >= V_WIDTH;
            for (j = 0; j < size; j++) {
                CNV__UNROLL for (r = 0; r < size; r++) {
                    int tap = flip ? last - size * r - j : size * r + j;
                    column[r] = v_load(g + tap * TILE_ROWS + lane);
                }
                CNV__UNROLL for (i = 0; i < 6; i++)
                    half[i][j] = CNV__NAME(combine)(matrix + i * size, 1, column, size);
            }
            for (i = 0; i < 6; i++)
                CNV__UNROLL for (j = 0; j < 6; j++) {
                    cnv_real *to = u + (size_t)(i * 6 + j) * step + lane;
                    V_TYPE number = CNV__NAME(combine)(matrix + j * size, 1, half[i], size);
                    if (whole) v_store(to, number);
                    else v_store_first(to, number, TILE_ROWS);
                }
        }
}

static void CNV__NAME(winograd_filters)(int size, int channels, int flip, const cnv_real *g,
                                        cnv_real *u, size_t step)
{
    if (size == 3) CNV__NAME(filters_of)(3, channels, flip, g, u, step);
    else CNV__NAME(filters_of)(5, channels, flip, g, u, step);
}

/* v[(i*6 + j) * step + t] = (B^T d B)[i][j] of the tile d that begins at rows[out * t], for
   t < tiles and as many more as fill a vector; rows [6][width], width a multiple of out, and
   CNV__MAX_TILE * out numbers more */
CNV__WORD void CNV__NAME(input_of)(int out, int tiles, const cnv_real *rows, int width, cnv_real *v,
                                   size_t step)
{
    enum { STRIDE = 6 * (CNV__TILES + 2) + CNV__MAX_TILE };
    cnv_real dealt[4 * STRIDE];
    V_TYPE d[6], half[6][6];
    int hand = width / out, t, i, j;
    CNV__NAME(deal)(out, rows, (6 * hand + 2 * V_WIDTH - 1) / V_WIDTH * V_WIDTH, dealt, STRIDE);
    for (t = 0; t < tiles; t += V_WIDTH) {
        for (j = 0; j < 6; j++) {
            const cnv_real *column = dealt + j % out * STRIDE + t + j / out;
            CNV__UNROLL for (i = 0; i < 6; i++) d[i] = v_load(column + i * hand);
            CNV__UNROLL for (i = 0; i < 6; i++)
                half[i][j] = CNV__NAME(combine)(cnv__winograd_bt + i * 6, 1, d, 6);
        }
        for (i = 0; i < 6; i++)
            CNV__UNROLL for (j = 0; j < 6; j++)
                v_store(v + (size_t)(i * 6 + j) * step + t,
                        CNV__NAME(combine)(cnv__winograd_bt + j * 6, 1, half[i], 6));
    }
}

static void CNV__NAME(winograd_input)(int out, int tiles, const cnv_real *rows, int width,
                                      cnv_real *v, size_t step)
{
    if (out == 4) CNV__NAME(input_of)(4, tiles, rows, width, v, step);
    else CNV__NAME(input_of)(2, tiles, rows, width, v, step);
}

/* to = y[0][0], y[1][0], ..., y[0][1], y[1][1], ...: `count` vectors, 2 or 4, lane by lane */
CNV__WORD void CNV__NAME(interleave)(int count, const V_TYPE *y, cnv_real *to)
{
    V_TYPE even[2], odd[2], low, high;
    int j;
    if (count == 2) even[0] = y[0], odd[0] = y[1];
    else v_zip(y[0], y[2], &even[0], &even[1]), v_zip(y[1], y[3], &odd[0], &odd[1]);
    CNV__UNROLL for (j = 0; j < count / 2; j++) {
        v_zip(even[j], odd[j], &low, &high);
        v_store(to + 2 * j * V_WIDTH, low);
        v_store(to + (2 * j + 1) * V_WIDTH, high);
    }
}

/* rows[i][out * t + j] = bias + (A^T M A)[i][j] of the tile M[i][j] = m[(i*6 + j) * step + t],
   t < tiles and as many more as fill a vector; rows [out][width] */
CNV__WORD void CNV__NAME(output_of)(int out, int tiles, const cnv_real *m, size_t step,
                                    cnv_real bias, cnv_real *rows, int width)
{
    const cnv_real *matrix = out == 4 ? cnv__winograd_at4 : cnv__winograd_at2;
    V_TYPE column[6], half[4][6], y[4];
    int t, i, j;
    for (t = 0; t < tiles; t += V_WIDTH, m += V_WIDTH, rows += out * V_WIDTH) {
        for (j = 0; j < 6; j++) {
            CNV__UNROLL for (i = 0; i < 6; i++) column[i] = v_load(m + (size_t)(i * 6 + j) * step);
            CNV__UNROLL for (i = 0; i < out; i++)
                half[i][j] = CNV__NAME(combine)(matrix + i * 6, 1, column, 6);
        }
        for (i = 0; i < out; i++) {
            CNV__UNROLL for (j = 0; j < out; j++)
                y[j] = v_add(CNV__NAME(combine)(matrix + j * 6, 1, half[i], 6), v_all(bias));
            CNV__NAME(interleave)(out, y, rows + i * width);
        }
    }
}

static void CNV__NAME(winograd_output)(int out, int tiles, const cnv_real *m, size_t step,
                                       cnv_real bias, cnv_real *rows, int width)
{
    if (out == 4) CNV__NAME(output_of)(4, tiles, m, step, bias, rows, width);
    else CNV__NAME(output_of)(2, tiles, m, step, bias, rows, width);
}

/* The loss's gradient by g is G^T [ (A dY A^T) . (B^T d B) ] G. For the weights' gradient it is
   summed over the tiles in that basis: each place is a matrix product, filters x tiles x channels.
   Here channels are the lanes of a vector, or images if these are small (see 7.1), and some rows of
   M X M^T are made: with X[a][b] = x[a * x_row + b * x_column + lane],
     y[(i - first) * y_row + j * y_column + lane] = (M X M^T)[i][j]
   M [rows][columns], M[a][b] = matrix[a * down + b * right], is a constant to the compiler, i is
   not. Reads whole vectors. */
CNV__WORD void CNV__NAME(rows_of)(const cnv_real *matrix, int down, int right, int rows,
                                  int columns, const cnv__basis *to, int i, const cnv_real *x,
                                  cnv_real *y)
{
    const size_t x_row = to->x_row, x_column = to->x_column, y_column = to->y_column;
    const int lanes = to->lanes;
    V_TYPE half[6];
    int lane, j, k;
    for (lane = 0; lane < lanes; lane += V_WIDTH) {
        CNV__UNROLL for (j = 0; j < columns; j++) half[j] = v_zero();
        for (k = 0; k < columns; k++) {
            const cnv_real *in = x + (size_t)k * x_row + lane;
            cnv_real number = matrix[i * down + k * right];
            if (number == 0) continue;
            CNV__UNROLL for (j = 0; j < columns; j++)
                half[j] = v_fma(v_all(number), v_load(in + (size_t)j * x_column), half[j]);
        }
        CNV__UNROLL for (j = 0; j < rows; j++) {
            V_TYPE number = CNV__NAME(combine)(matrix + j * down, right, half, columns);
            cnv_real *out = y + (size_t)j * y_column + lane;
            if (lanes - lane >= V_WIDTH) v_store(out, number);
            else v_store_first(out, number, lanes - lane);
        }
    }
}

static void CNV__NAME(winograd_rows)(const cnv__basis *to, const cnv_real *x, cnv_real *y)
{
    int i;
    for (i = to->first; i < to->last; i++, y += to->y_row) {
        if (to->matrix == CNV__BT)
            CNV__NAME(rows_of)(cnv__winograd_bt, 6, 1, 6, 6, to, i, x, y);
        else if (to->matrix == CNV__AT && to->size == 3)
            CNV__NAME(rows_of)(cnv__winograd_at4, 6, 1, 4, 6, to, i, x, y);
        else if (to->matrix == CNV__AT)
            CNV__NAME(rows_of)(cnv__winograd_at2, 6, 1, 2, 6, to, i, x, y);
        else if (to->matrix == CNV__A && to->size == 3)
            CNV__NAME(rows_of)(cnv__winograd_at4, 1, 6, 6, 4, to, i, x, y);
        else if (to->matrix == CNV__A)
            CNV__NAME(rows_of)(cnv__winograd_at2, 1, 6, 6, 2, to, i, x, y);
        else if (to->size == 3)
            CNV__NAME(rows_of)(cnv__winograd_g3, 1, 3, 3, 6, to, i, x, y);
        else
            CNV__NAME(rows_of)(cnv__winograd_g5, 1, 5, 5, 6, to, i, x, y);
    }
}

#if CNV__SET != CNV__AVX512
#define CNV__SHARED CNV__NAME /* AVX-512 has these kernels from AVX2 */
#define CNV__REST(name) cnv__##name##_scalar

/* ---- 5.3 Elementwise ----

   All have one form: whole vectors first; what is left over goes to the scalar kernel. */

/* y[i] = x[i] where x[i] > 0, else 0; a NaN stays */
static void CNV__NAME(relu_forward)(size_t n, const cnv_real *x, cnv_real *y)
{
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH) v_store(y + i, v_relu(v_load(x + i)));
    if (i < n) CNV__REST(relu_forward)(n - i, x + i, y + i);
}

/* dx for the three rules of cnv_relu_rule */
CNV__WORD V_TYPE CNV__NAME(relu_rule)(cnv_relu_rule rule, V_TYPE x, V_TYPE dy)
{
    if (rule == CNV_GRADIENT) return v_keep(v_greater(x, v_zero()), dy);
    if (rule == CNV_DECONVNET) return v_keep(v_greater(dy, v_zero()), dy);
    return v_keep(v_both(v_greater(x, v_zero()), v_greater(dy, v_zero())), dy);
}

static void CNV__NAME(relu_backward)(cnv_relu_rule rule, size_t n, const cnv_real *x,
                                     const cnv_real *dy, cnv_real *dx)
{
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(dx + i, CNV__NAME(relu_rule)(rule, v_load(x + i), v_load(dy + i)));
    if (i < n) CNV__REST(relu_backward)(rule, n - i, x + i, dy + i, dx + i);
}

/* y[i] = a[i] + b[i] */
static void CNV__NAME(add)(size_t n, const cnv_real *a, const cnv_real *b, cnv_real *y)
{
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_add(v_load(a + i), v_load(b + i)));
    if (i < n) CNV__REST(add)(n - i, a + i, b + i, y + i);
}

/* y[i] = a[i] * b[i] */
static void CNV__NAME(multiply)(size_t n, const cnv_real *a, const cnv_real *b, cnv_real *y)
{
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_mul(v_load(a + i), v_load(b + i)));
    if (i < n) CNV__REST(multiply)(n - i, a + i, b + i, y + i);
}

/* y[i] = scale * x[i] + shift */
static void CNV__NAME(affine)(size_t n, cnv_real scale, cnv_real shift, const cnv_real *x,
                              cnv_real *y)
{
    V_TYPE a = v_all(scale), b = v_all(shift);
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH) v_store(y + i, v_fma(a, v_load(x + i), b));
    if (i < n) CNV__REST(affine)(n - i, scale, shift, x + i, y + i);
}

/* y[i] += a * x[i] */
static void CNV__NAME(add_scaled)(size_t n, cnv_real a, const cnv_real *x, cnv_real *y)
{
    V_TYPE scale = v_all(a);
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH)
        v_store(y + i, v_fma(scale, v_load(x + i), v_load(y + i)));
    if (i < n) CNV__REST(add_scaled)(n - i, a, x + i, y + i);
}

/* The sum of a[i] * b[i], in four running sums, because one multiply-add must wait for the last. */
static cnv_real CNV__NAME(dot)(size_t n, const cnv_real *a, const cnv_real *b)
{
    V_TYPE s0 = v_zero(), s1 = v_zero(), s2 = v_zero(), s3 = v_zero();
    size_t i, w = V_WIDTH;
    for (i = 0; i + 4 * w <= n; i += 4 * w) {
        s0 = v_fma(v_load(a + i), v_load(b + i), s0);
        s1 = v_fma(v_load(a + i + w), v_load(b + i + w), s1);
        s2 = v_fma(v_load(a + i + 2 * w), v_load(b + i + 2 * w), s2);
        s3 = v_fma(v_load(a + i + 3 * w), v_load(b + i + 3 * w), s3);
    }
    for (; i + w <= n; i += w) s0 = v_fma(v_load(a + i), v_load(b + i), s0);
    s0 = v_add(v_add(s0, s1), v_add(s2, s3));
    return i < n ? v_sum(s0) + CNV__REST(dot)(n - i, a + i, b + i) : v_sum(s0);
}

/* The sum of x[i]. */
static cnv_real CNV__NAME(total)(size_t n, const cnv_real *x)
{
    V_TYPE s0 = v_zero(), s1 = v_zero();
    size_t i, w = V_WIDTH;
    for (i = 0; i + 2 * w <= n; i += 2 * w) {
        s0 = v_add(s0, v_load(x + i));
        s1 = v_add(s1, v_load(x + i + w));
    }
    for (; i + w <= n; i += w) s0 = v_add(s0, v_load(x + i));
    s0 = v_add(s0, s1);
    return i < n ? v_sum(s0) + CNV__REST(total)(n - i, x + i) : v_sum(s0);
}

/* Momentum: m = momentum * m + (g + decay * w);  w -= rate * m */
static void CNV__NAME(sgd)(size_t n, cnv_real rate, cnv_real momentum, cnv_real decay,
                           const cnv_real *g, cnv_real *m, cnv_real *w)
{
    V_TYPE down = v_all(-rate), keep = v_all(momentum), shrink = v_all(decay);
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH) {
        V_TYPE weight = v_load(w + i), slope = v_fma(shrink, weight, v_load(g + i));
        V_TYPE speed = v_fma(keep, v_load(m + i), slope);
        v_store(m + i, speed);
        v_store(w + i, v_fma(down, speed, weight));
    }
    if (i < n) CNV__REST(sgd)(n - i, rate, momentum, decay, g + i, m + i, w + i);
}

/* Adam: m and v are running means of g and g^2;  w = keep * w - rate * m / (root * sqrt(v) + eps)
   */
static void CNV__NAME(adam)(const cnv__adam *a, size_t n, const cnv_real *g, cnv_real *m,
                            cnv_real *v, cnv_real *w)
{
    V_TYPE beta1 = v_all(a->beta1), beta2 = v_all(a->beta2), gain1 = v_all(a->gain1);
    V_TYPE gain2 = v_all(a->gain2), rate = v_all(-a->rate), root = v_all(a->root);
    V_TYPE eps = v_all(a->eps), keep = v_all(a->keep);
    size_t i;
    for (i = 0; i + V_WIDTH <= n; i += V_WIDTH) {
        V_TYPE slope = v_load(g + i), square = v_mul(v_mul(gain2, slope), slope);
        V_TYPE mean = v_fma(beta1, v_load(m + i), v_mul(gain1, slope)), step;
        square = v_fma(beta2, v_load(v + i), square);
        step = v_div(v_mul(rate, mean), v_fma(root, v_sqrt(square), eps));
        v_store(m + i, mean);
        v_store(v + i, square);
        v_store(w + i, v_fma(keep, v_load(w + i), step));
    }
    if (i < n) CNV__REST(adam)(a, n - i, g + i, m + i, v + i, w + i);
}

/* ---- 5.4 Pooling ---- */

/* The greatest of `rows` numbers below each other, in the first lanes; nan: a NaN was among them,
   and the result is wrong. */
CNV__WORD V_TYPE CNV__NAME(max_below)(int rows, int pitch, const cnv_real *x, int lanes,
                                      V_MASK *nan)
{
    V_TYPE taps[3], best = v_load_lanes(x, lanes);
    int r;
    if (rows == 1) *nan = v_either(*nan, v_unordered(best, best));
    CNV__UNROLL for (r = 1; r < 3; r++)
        if (r < rows) {
            taps[r] = v_load_lanes(x + r * pitch, lanes);
            *nan = v_either(*nan, v_unordered(taps[r], best));
            best = v_max(taps[r], best);
        }
    for (r = 3; r < rows; r++) {
        taps[0] = v_load_lanes(x + r * pitch, lanes);
        *nan = v_either(*nan, v_unordered(taps[0], best));
        best = v_max(taps[0], best);
    }
    return best;
}

/* That for each of n columns; whether there is a NaN. The last vector does some again that the one
   before has done. */
CNV__WORD int CNV__NAME(max_line)(int rows, int pitch, int n, const cnv_real *x, cnv_real *line)
{
    V_MASK nan = v_greater(v_zero(), v_zero());
    int i, at;
    if (n < V_WIDTH) v_store(line, CNV__NAME(max_below)(rows, pitch, x, n, &nan));
    else
        for (i = 0; i < n; i += V_WIDTH) {
            at = i + V_WIDTH <= n ? i : n - V_WIDTH;
            v_store(line + at, CNV__NAME(max_below)(rows, pitch, x + at, V_WIDTH, &nan));
        }
    return v_any(nan);
}

/* y[i] = the greatest of line[i*step + s*right], s < columns, i < n; up to i < room something may
   be written. */
CNV__WORD void CNV__NAME(max_beside)(int columns, int step, int right, int n, int room,
                                     const cnv_real *line, cnv_real *y)
{
    const int twos = step == 2 && right == 1 && (columns == 2 || columns == 3);
    int i, s;
    for (i = 0; i < n; i += V_WIDTH, line += V_WIDTH * step) {
        V_TYPE taps[3], best;
        if (twos) v_load_taps(line, columns, taps);
        best = twos ? taps[0] : v_load_step(line, step);
        CNV__UNROLL for (s = 1; s < 3; s++)
            if (s < columns)
                best = v_max(twos ? taps[s] : v_load_step(line + s * right, step), best);
        for (s = 3; s < columns; s++) best = v_max(v_load_step(line + s * right, step), best);
        v_store_lanes(y + i, best, room - i);
    }
}

/* For row p of a band's windows, a line with the greatest of what lies below each other, and
   -infinity in the padding. Returns whether there is a NaN. */
CNV__WORD int CNV__NAME(max_rows)(int rows, int step, const cnv__band *b, int p, cnv_real *line)
{
    const cnv_window *win = b->win;
    int top = (b->first_p + p) * win->stride_h - win->pad_top, pitch = win->dilation_h * b->w;
    int read = (b->columns + V_WIDTH - 1) / V_WIDTH * V_WIDTH * step + b->reach_w;
    int left = b->first_q * step - win->pad_left, n = b->after - b->before, i, nan, r0, r1;
    const cnv_real *x = b->x + top * b->w + left + b->before;
    if (top >= 0 && top + b->reach_h <= b->h)
        nan = CNV__NAME(max_line)(rows, pitch, n, x, line + b->before);
    else {
        cnv__clip(top, win->kernel_h, win->dilation_h, b->h, &r0, &r1);
        nan = CNV__NAME(max_line)(r1 - r0, pitch, n, x + r0 * pitch, line + b->before);
    }
    for (i = 0; i < b->before; i++) line[i] = -(cnv_real)HUGE_VAL;
    for (i = b->after; i < read; i += V_WIDTH) v_store(line + i, v_all(-(cnv_real)HUGE_VAL));
    return nan;
}

/* Then of these the greatest beside each other; a row behind, while memory brings the next. */
CNV__WORD int CNV__NAME(max_windows)(int rows, int columns, int step, int right, cnv__band *b,
                                     cnv_real *y)
{
    cnv_real *line = b->lines, *before = b->lines + b->length, *swap;
    int p, nan = 0;
    for (p = 0; p <= b->rows; p++, swap = line, line = before, before = swap) {
        int out = (b->first_p + p - 1) * b->q + b->first_q;
        int room = b->columns == b->q ? b->p * b->q - out : b->columns; /* rows to come, too */
        if (p < b->rows) nan |= CNV__NAME(max_rows)(rows, step, b, p, line);
        if (p > 0) CNV__NAME(max_beside)(columns, step, right, b->columns, room, before, y + out);
    }
    return nan;
}

/* y of a band, in the plane [P,Q]. Returns whether there is a NaN: then it is to be found in
   another way. Of zeros, which are equal, y may have another's sign. Compilers make more of the
   usual windows when they know them. */
static int CNV__NAME(max_band)(cnv__band *b, cnv_real *y)
{
    const cnv_window *win = b->win;
    const int rows = win->kernel_h, columns = win->kernel_w;
    if (rows == columns && win->dilation_h == 1 && win->dilation_w == 1) {
        if (rows == 2 && win->stride_w == 2) return CNV__NAME(max_windows)(2, 2, 2, 1, b, y);
        if (rows == 3 && win->stride_w == 2) return CNV__NAME(max_windows)(3, 3, 2, 1, b, y);
        if (rows == 3 && win->stride_w == 1) return CNV__NAME(max_windows)(3, 3, 1, 1, b, y);
    }
    return CNV__NAME(max_windows)(rows, columns, win->stride_w, win->dilation_w, b, y);
}

/* Where y comes from: the places of the first taps that equal it, or -1. They are tried from the
   last to the first. */
CNV__WORD int CNV__NAME(switch_windows)(int rows, int columns, int step, int right,
                                        const cnv__band *b, const cnv_real *y, cnv_real *switches)
{
    const cnv_window *win = b->win;
    const int twos = step == 2 && right == 1 && (columns == 2 || columns == 3);
    const V_TYPE least = v_all(-(cnv_real)HUGE_VAL), more = v_all((cnv_real)(V_WIDTH * step));
    const V_TYPE above = v_all(-(cnv_real)(win->dilation_h * b->w));
    const int last = (rows - 1) * win->dilation_h;
    V_MASK odd = v_greater(least, least);
    int p, i, r, s;
    for (p = 0; p < b->rows; p++) {
        int top = (b->first_p + p) * win->stride_h - win->pad_top + last;
        int left = b->first_q * step - win->pad_left, out = (b->first_p + p) * b->q + b->first_q;
        int room = b->columns == b->q ? b->p * b->q - out : b->columns; /* rows to come, too */
        V_TYPE lowest = v_ramp(top * b->w + left, step);
        for (i = 0; i < b->columns; i += V_WIDTH, lowest = v_add(lowest, more)) {
            const cnv_real *x = b->taps + (p * win->stride_h + last) * b->pitch + i * step;
            V_TYPE best = v_load_lanes(y + out + i, room - i), at = v_all(-1), taps[3];
            V_TYPE place = lowest;
            odd = v_either(odd, v_either(v_unordered(best, best), v_equal(best, least)));
            for (r = 0; r < rows; r++, x -= win->dilation_h * b->pitch) {
                for (s = columns - 1; s >= 3; s--)
                    at = v_select(v_equal(v_load_step(x + s * right, step), best),
                                  v_add(place, v_all((cnv_real)(s * right))), at);
                if (twos) v_load_taps(x, columns, taps);
                CNV__UNROLL for (s = 2; s >= 0; s--)
                    if (s < columns) {
                        V_TYPE tap = twos ? taps[s] : v_load_step(x + s * right, step);
                        at = v_select(v_equal(tap, best),
                                      v_add(place, v_all((cnv_real)(s * right))), at);
                    }
                place = v_add(place, above);
            }
            v_store_lanes(switches + out + i, at, room - i);
        }
    }
    return v_any(odd);
}

/* The switches of a band, in the plane [P,Q]. Returns whether they are to be found in another way,
   for a NaN or a maximum of -infinity. */
static int CNV__NAME(switch_band)(const cnv__band *b, const cnv_real *y, cnv_real *switches)
{
    const cnv_window *win = b->win;
    const int rows = win->kernel_h, columns = win->kernel_w;
    if (rows == columns && win->dilation_h == 1 && win->dilation_w == 1) {
        if (rows == 2 && win->stride_w == 2)
            return CNV__NAME(switch_windows)(2, 2, 2, 1, b, y, switches);
        if (rows == 3 && win->stride_w == 2)
            return CNV__NAME(switch_windows)(3, 3, 2, 1, b, y, switches);
        if (rows == 3 && win->stride_w == 1)
            return CNV__NAME(switch_windows)(3, 3, 1, 1, b, y, switches);
    }
    return CNV__NAME(switch_windows)(rows, columns, win->stride_w, win->dilation_w, b, y, switches);
}

/* dx [H,W] under windows of 2 x 2 side by side: dx[2j], dx[2j+1] = dy[j] where switches[j] names
   that pixel, else 0. A vector goes on behind its row: windows of the next one name no pixel in
   this, and what is written there is written again later. */
static void CNV__NAME(unpool_pairs)(const cnv_real *dy, const cnv_real *switches, int p_count,
                                    int q_count, cnv_real *dx, int h, int w)
{
    const int rows = 2 * p_count < h ? 2 * p_count : h;
    int row, j;
    for (row = 0; row < rows; row++) {
        V_TYPE even = v_add(v_all((cnv_real)(row * w)), v_ramp(0, 2)), next = v_all(2 * V_WIDTH);
        for (j = 0; 2 * j < w; j += V_WIDTH, even = v_add(even, next)) {
            int from = row / 2 * q_count + j, left = p_count * q_count - from, to = row * w + 2 * j;
            int room = h * w - to;
            V_TYPE at = v_load_lanes(switches + from, left), low, high;
            V_TYPE slope = v_load_lanes(dy + from, left), odd = v_add(even, v_all(1));
            v_zip(v_keep(v_equal(at, even), slope), v_keep(v_equal(at, odd), slope), &low, &high);
            v_store_lanes(dx + to, low, room);
            v_store_lanes(dx + to + V_WIDTH, high, room - V_WIDTH);
        }
    }
    memset(dx + rows * w, 0, (size_t)(h - rows) * (size_t)w * sizeof *dx);
}

/* The mean, for V_WIDTH windows of a row at once, in rows p0 <= p < p1 of a span. Where there are
   more, the last vector does some again that the one before has done; where there are fewer, it
   goes on behind the row, both in the image and in the result; where the image ends there, the row
   is for the scalar kernel. x and dx are planes [H,W], y and dy planes [P,Q]. */
static void CNV__NAME(mean_span)(const cnv__span *a, int p0, int p1, const cnv_real *x,
                                 cnv_real *y);

/* y = share * the sum of the taps */
CNV__WORD void CNV__NAME(mean_windows)(const cnv__span *a, int size, int p0, int p1,
                                       const cnv_real *x, cnv_real *y)
{
    int n = a->n, down = a->down, p, i, r, s, place;
    const int step = size ? 2 : a->step;
    for (p = p0; p < p1; p++) {
        int rows = cnv__span_rows(a, p, &place), out = p * a->q + a->first;
        int lanes = cnv__span_lanes(a, out, V_WIDTH);
        V_TYPE share = v_all(cnv__span_share(a, p, rows));
        if (!cnv__span_readable(a, place, rows, V_WIDTH)) {
            CNV__REST(mean_span)(a, p, p + 1, x, y);
            continue;
        }
        for (i = 0; i < n; i += V_WIDTH) {
            int at = i + V_WIDTH <= n || n < V_WIDTH ? i : n - V_WIDTH;
            const cnv_real *tap = x + place + at * step;
            V_TYPE sum = v_zero();
            for (r = 0; r < rows; r++, tap += down) {
                V_TYPE taps[3];
                if (size) {
                    v_load_taps(tap, size, taps);
                    CNV__UNROLL for (s = 0; s < size; s++) sum = v_add(sum, taps[s]);
                } else
                    for (s = 0; s < a->columns; s++)
                        sum = v_add(sum, v_load_step(tap + s * a->right, step));
            }
            v_store_lanes(y + out + at, v_mul(share, sum), lanes);
        }
    }
}

static void CNV__NAME(mean_span)(const cnv__span *a, int p0, int p1, const cnv_real *x, cnv_real *y)
{
    int size = cnv__span_size(a);
    if (size == 2) CNV__NAME(mean_windows)(a, 2, p0, p1, x, y);
    else if (size == 3) CNV__NAME(mean_windows)(a, 3, p0, p1, x, y);
    else CNV__NAME(mean_windows)(a, 0, p0, p1, x, y);
}

/* dx += share * dy at every tap, for squares of 2 or 3 at stride 2. Pixels 2j and 2j + 1 after the
   first tap lie in window j, and the first of them in window j - 1, too, if that is 3 wide. Where
   windows end, vectors go on behind the row and add 0. */
CNV__WORD void CNV__NAME(spread_twos)(const cnv__span *a, int size, int p, const cnv_real *dy,
                                      cnv_real *dx)
{
    const int n = a->n, down = a->down;
    int j, r, place, rows = cnv__span_rows(a, p, &place);
    int left = a->h * a->w - place - (rows - 1) * down;
    cnv_real share = cnv__span_share(a, p, rows);
    for (j = 0, dx += place; j < n + size - 2;) {
        if ((size == 2 || j > 0) && 2 * (j + V_WIDTH) <= left) {
            V_TYPE here = v_mul(v_all(share), v_load_lanes(dy + j, n - j)), low, high, both = here;
            if (size == 3)
                both = v_fma(v_all(share), v_load_lanes(dy + j - 1, n - j + 1), here);
            v_zip(both, here, &low, &high);
            for (r = 0; r < rows; r++) {
                v_add_step(dx + 2 * j + r * down, low, 1);
                v_add_step(dx + 2 * j + r * down + V_WIDTH, high, 1);
            }
            j += V_WIDTH;
        } else {
            cnv_real here = j < n ? share * dy[j] : 0, before = j > 0 ? share * dy[j - 1] : 0;
            for (r = 0; r < rows; r++) {
                dx[2 * j + r * down] += size == 3 ? before + here : here;
                if (j < n) dx[2 * j + 1 + r * down] += here;
            }
            j++;
        }
    }
}

/* The same whatever the windows. With a step of 2 a vector touches the pixels between the taps,
   too: so the last window is never part of one. */
static void CNV__NAME(mean_span_backward)(const cnv__span *a, const cnv_real *dy, cnv_real *dx)
{
    int whole = a->step == 1 ? a->n : a->step == 2 ? a->n - 1 : 0, size = cnv__span_size(a);
    int p, i, r, s, place;
    for (p = 0, dy += a->first; p < a->p; p++, dy += a->q) {
        int rows = cnv__span_rows(a, p, &place);
        cnv_real share = cnv__span_share(a, p, rows);
        if (size == 2) CNV__NAME(spread_twos)(a, 2, p, dy, dx);
        else if (size == 3) CNV__NAME(spread_twos)(a, 3, p, dy, dx);
        for (r = 0; r < rows && !size; r++)
            for (s = 0; s < a->columns; s++) {
                cnv_real *to = dx + place + r * a->down + s * a->right;
                for (i = 0; i + V_WIDTH <= whole; i += V_WIDTH)
                    v_add_step(to + i * a->step, v_mul(v_all(share), v_load(dy + i)), a->step);
                for (; i < a->n; i++) to[i * a->step] += share * dy[i];
            }
    }
}

#else
#define CNV__SHARED(name) cnv__##name##_avx2
#endif

/* What the dispatcher needs to know of this instruction set: see section 6. */
static const cnv__kernels CNV__NAME(kernels) = {
    CNV__SET_NAME, V_WIDTH, TILE_ROWS, TILE_COLUMNS, CNV__NAME(pack), CNV__NAME(product),
    CNV__NAME(dots), CNV__NAME(deal), CNV__NAME(gather), CNV__NAME(winograd_filters),
    CNV__NAME(winograd_input), CNV__NAME(winograd_output), CNV__NAME(winograd_rows),
    CNV__SHARED(relu_forward), CNV__SHARED(relu_backward), CNV__SHARED(add), CNV__SHARED(multiply),
    CNV__SHARED(affine), CNV__SHARED(add_scaled), CNV__SHARED(dot), CNV__SHARED(total),
    CNV__SHARED(sgd), CNV__SHARED(adam), CNV__SHARED(max_band),
    CNV__SHARED(switch_band), CNV__SHARED(unpool_pairs), CNV__SHARED(mean_span),
    CNV__SHARED(mean_span_backward)
};

/* The words are only for kernels. */
#undef V_TYPE
#undef V_MASK
#undef V_WIDTH
#undef TILE_ROWS
#undef TILE_VECTORS
#undef TILE_COLUMNS
#undef CNV__PICK
#undef CNV__NAME
#undef CNV__REST
#undef CNV__SHARED
#undef CNV__PICK3
#undef v_zero
#undef v_all
#undef v_load
#undef v_store
#undef v_prefetch
#undef v_add
#undef v_mul
#undef v_div
#undef v_sqrt
#undef v_fma
#undef v_relu
#undef v_greater
#undef v_equal
#undef v_both
#undef v_max
#undef v_unordered
#undef v_either
#undef v_any
#undef v_keep
#undef v_select
#undef v_sum
#undef v_hold
#undef v_load_first
#undef v_store_first
#undef v_unzip
#undef v_zip
#undef v_transpose
#undef v_ramp
#undef v_load_step
#undef v_add_step
#undef v_load_taps
#undef v_load_lanes
#undef v_store_lanes

#endif /* CNV__SET */

#ifndef CNV__SET

/* ==================== 6. Dispatch: one set of kernels is chosen ==================== */

/* Here the file includes itself, once per instruction set; each time only sections 4 and 5 are
   seen. On x86 the compiler is told that just those lines may use AVX2 or AVX-512: so the rest of
   the program runs on any CPU, and no flag is needed to compile it. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options /* optimized by hand: the rest of -O2 would only take time to compile */
#pragma GCC optimize("O1", "tree-vrp", "tree-vectorize", "expensive-optimizations")
#endif
#define CNV__SET 1
#define CNV__SET_NAME "scalar"
#include "cnnvis.h"
#undef CNV__SET
#undef CNV__SET_NAME

#ifdef CNV__X86

#if defined __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif defined __GNUC__
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define CNV__SET 2
#define CNV__SET_NAME "avx2"
#include "cnnvis.h"
#undef CNV__SET
#undef CNV__SET_NAME
#if defined __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#elif defined __GNUC__
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f")
#pragma GCC diagnostic push /* its own AVX-512 header starts vectors from nothing */
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define CNV__SET 3
#define CNV__SET_NAME "avx512"
#include "cnnvis.h"
#undef CNV__SET
#undef CNV__SET_NAME
#if defined __clang__
#pragma clang attribute pop
#elif defined __GNUC__
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif

#ifdef _MSC_VER
#include <intrin.h>
/* CPUID leaf 7 says what the CPU has; XGETBV which registers the operating system saves. */
static int cnv__cpu_has(int avx512)
{
    int id[4], saved;
    __cpuid(id, 1);
    if (!(id[2] >> 27 & 1) || !(id[2] >> 12 & 1)) return 0; /* OSXSAVE, FMA */
    saved = (int)_xgetbv(0);
    __cpuidex(id, 7, 0);
    if (!(id[1] >> 5 & 1) || (saved & 6) != 6) return 0;
    return !avx512 || ((id[1] >> 16 & 1) && (saved & 0xE6) == 0xE6);
}
#else
static int cnv__cpu_has(int avx512)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return !avx512 || __builtin_cpu_supports("avx512f");
}
#endif
#endif /* CNV__X86 */

#ifdef CNV__ARM /* every AArch64 CPU has NEON */
#define CNV__SET 4
#define CNV__SET_NAME "neon"
#include "cnnvis.h"
#undef CNV__SET
#undef CNV__SET_NAME
#endif

/* offset[i] = start + i * step, i < count. Returns where the table ends. */
static int *cnv__count_by(int *offset, int count, int start, int step)
{
    int i;
    for (i = 0; i < count; i++) offset[i] = start + i * step;
    return offset + count;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

/* The i-th best instruction set of this CPU, NULL when there are no more. */
static const cnv__kernels *cnv__available(int i)
{
    const cnv__kernels *sets[4];
    int count = 0;
#ifdef CNV__X86
    if (cnv__cpu_has(1)) sets[count++] = &cnv__kernels_avx512;
    if (cnv__cpu_has(0)) sets[count++] = &cnv__kernels_avx2;
#endif
#ifdef CNV__ARM
    sets[count++] = &cnv__kernels_neon;
#endif
    sets[count++] = &cnv__kernels_scalar;
    return i < count ? sets[i] : NULL;
}

static const cnv__kernels *cnv__chosen; /* NULL until first used */

/* The kernels in use. Two threads that come here first both write the same pointer. */
static const cnv__kernels *cnv__use(void)
{
    if (!cnv__chosen) cnv__chosen = cnv__available(0);
    return cnv__chosen;
}

CNVDEF const char *cnv_using(void) { return cnv__use()->name; }

CNVDEF int cnv_use(const char *instruction_set)
{
    const cnv__kernels *kernels;
    int i;
    for (i = 0; (kernels = cnv__available(i)) != NULL; i++)
        if (!strcmp(instruction_set, kernels->name) || !strcmp(instruction_set, "auto")) {
            cnv__chosen = kernels;
            return 1;
        }
    return cnv__fail("instruction set \"%s\" is unknown or not available on this CPU",
                     instruction_set);
}

/* Threads: OpenMP where the compiler was told to use it (-fopenmp), else none. */
#ifdef _OPENMP
#include <omp.h>
#define CNV__PRAGMA(text) _Pragma(#text)
#define CNV__PARALLEL_FOR(condition) CNV__PRAGMA(omp parallel for schedule(static) if (condition))
static int cnv__threads(void) { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
#else
#define CNV__PARALLEL_FOR(condition)
static int cnv__threads(void) { return 1; }
#endif

#ifndef CNV__BLOCK
#define CNV__BLOCK 65536u /* elementwise work is handed to threads in blocks of this many */
#endif
#ifndef CNV__SHARED_WORK
#define CNV__SHARED_WORK 3e6 /* products of fewer multiply-adds are not worth sharing */
#endif

static int cnv__blocks(size_t n) { return (int)((n + CNV__BLOCK - 1) / CNV__BLOCK); }

/* Where block i of n elements begins, and how many it has. */
static size_t cnv__block(size_t n, int i, size_t *count)
{
    size_t start = (size_t)i * CNV__BLOCK;
    *count = n - start < CNV__BLOCK ? n - start : CNV__BLOCK;
    return start;
}

/* From here on nothing is an inner loop: gcc, told so, takes less time to compile a program. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* ==================== 7. Operators: each forward, then its backward ==================== */

/* ---- 7.1 Convolution ----

   One index arithmetic serves all three directions. With the offset tables
     tap[t]    where tap t = (c,r,s) lies in a window of the padded image,
     pixel[j]  where the window of output j = (n,p,q) begins,
   they are three matrix products (see 5.1):
     forward            y[k,j]                 = bias[k] + sum over t of w[k,t] x[tap[t] + pixel[j]]
     backward-data      dx[tap[t] + pixel[j]] +=           sum over k of w[k,t] dy[k,j]
     backward-weights   dw[k,t]               +=           sum over j of dy[k,j] x[tap[t] +
     pixel[j]]  */

CNVDEF cnv_window cnv_square(int kernel, int stride, int pad)
{
    cnv_window win;
    win.kernel_h = win.kernel_w = kernel;
    win.stride_h = win.stride_w = stride;
    win.dilation_h = win.dilation_w = 1;
    win.pad_top = win.pad_left = win.pad_bottom = win.pad_right = pad;
    win.ceil_mode = 0;
    return win;
}

/* Output size in one direction; 0 when no window fits. */
static long long cnv__output_size(long long size, long long before, long long after, int kernel,
                                  int stride, int dilation, int ceil_mode)
{
    long long room = size + before + after - (long long)dilation * (kernel - 1) - 1, count;
    if (room < 0) return 0;
    count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= size + before) count--;
    return count;
}

CNVDEF int cnv_window_output(const cnv_window *win, int h, int w, int *p, int *q)
{
    long long rows, columns;
    if (win->kernel_h < 1 || win->kernel_w < 1 || win->stride_h < 1 || win->stride_w < 1 ||
        win->dilation_h < 1 || win->dilation_w < 1 || win->pad_top < 0 || win->pad_left < 0 ||
        win->pad_bottom < 0 || win->pad_right < 0)
        return cnv__fail("a window needs kernel, stride and dilation >= 1 and pads >= 0; got "
                         "kernel %d x %d, stride %d x %d, dilation %d x %d, pads %d %d %d %d",
                         win->kernel_h, win->kernel_w, win->stride_h, win->stride_w,
                         win->dilation_h, win->dilation_w, win->pad_top, win->pad_left,
                         win->pad_bottom, win->pad_right);
    rows = cnv__output_size(h, win->pad_top, win->pad_bottom, win->kernel_h, win->stride_h,
                            win->dilation_h, win->ceil_mode);
    columns = cnv__output_size(w, win->pad_left, win->pad_right, win->kernel_w, win->stride_w,
                               win->dilation_w, win->ceil_mode);
    if (h < 1 || w < 1 || rows < 1 || columns < 1)
        return cnv__fail("a window of %d x %d (dilation %d x %d) does not fit into an image of "
                         "%d x %d with pads %d %d %d %d", win->kernel_h, win->kernel_w,
                         win->dilation_h, win->dilation_w, h, w, win->pad_top, win->pad_left,
                         win->pad_bottom, win->pad_right);
    if (rows > INT_MAX || columns > INT_MAX)
        return cnv__fail("pads of %d %d %d %d make the output too large", win->pad_top,
                         win->pad_left, win->pad_bottom, win->pad_right);
    *p = (int)rows, *q = (int)columns;
    return 1;
}

/* Makes at least this many bytes; the contents are lost when it grows. They begin on a cache line,
   so that no vector of a panel crosses into the next one. */
static void *cnv__workspace_bytes(cnv_workspace *ws, size_t bytes)
{
    const size_t line = 64;
    if (ws->bytes < bytes) {
        void *data = cnv__allocate(bytes / line + 2, line);
        if (!data) return NULL;
        CNNVIS_FREE(ws->data);
        ws->data = data;
        ws->bytes = bytes;
    }
    return (char *)ws->data + (line - (uintptr_t)ws->data % line) % line;
}

CNVDEF void cnv_workspace_free(cnv_workspace *ws)
{
    CNNVIS_FREE(ws->data);
    ws->data = NULL;
    ws->bytes = 0;
}

/* The sizes of a convolution and the memory it works in. */
typedef struct {
    cnv_window win;
    int n, c, h, w, k, p, q;     /* of x [n,c,h,w] and y [n,k,p,q] */
    int groups, group_c, group_k, taps; /* a group's channels and filters; taps = group_c * R * S */
    int padded_h, padded_w, pad; /* pad: the image must be copied into a larger one first */
    int hands;                   /* into which the columns of that copy are dealt, see below */
    int flip;                    /* the filters are those of another convolution, see below */
    int read_on;                 /* the images are read where they are, not packed */
    int images;                  /* how many images are done at once */
    int *tap, *pixel;            /* [taps], [images*p*q]: the two tables above */
    int *y_row, *y_col;          /* [group_k], [images*p*q]: the same for y */
    int *w_row, *w_col;          /* [group_k], [taps]: the same for weight */
    cnv_real *image;             /* [images, c, padded_h, padded_w] */
    cnv_real *panel;             /* [threads, DEPTH, tile_columns] */
    cnv_real *packed;            /* operand A, as large as the caller asked */
    cnv_real *work;              /* work_size numbers more, for what the caller likes */
    size_t work_size;
    cnv_workspace own;           /* when the caller passed no workspace */
} cnv__conv;

static int cnv__round_up(int a, int step) { return (a + step - 1) / step * step; }

/* Checks shapes and fills in the sizes; x and weight give n, c, h, w and k. */
static int cnv__conv_sizes(cnv__conv *conv, const cnv_tensor *x, const cnv_tensor *weight,
                           const cnv_window *win, int groups)
{
    double area, padded;
    memset(conv, 0, sizeof *conv);
    conv->win = *win, conv->groups = groups;
    conv->n = x->n, conv->c = x->c, conv->h = x->h, conv->w = x->w, conv->k = weight->n;
    if (groups < 1 || x->c % groups || weight->n % groups)
        return cnv__fail("%d groups do not divide %d channels and %d filters", groups, x->c,
                         weight->n);
    conv->group_c = x->c / groups, conv->group_k = weight->n / groups;
    if (weight->c != conv->group_c)
        return cnv__fail("expects %d channels, got %d", weight->c * groups, x->c);
    if (weight->h != win->kernel_h || weight->w != win->kernel_w)
        return cnv__fail("the weights are %d x %d, the window is %d x %d", weight->h, weight->w,
                         win->kernel_h, win->kernel_w);
    if (win->ceil_mode) return cnv__fail("ceil_mode is for pooling, not for convolution");
    if (!cnv_window_output(win, x->h, x->w, &conv->p, &conv->q)) return 0;
    area = (double)conv->p * conv->q;
    conv->images = 1 + (int)(1024 / area); /* small images share a product */
    if (conv->images > x->n) conv->images = x->n;
    conv->hands = conv->q > 1 ? win->stride_w : 1;
    padded = ((double)x->h + win->pad_top + win->pad_bottom) *
             ((double)x->w + win->pad_left + win->pad_right + conv->hands - 1);
    if (conv->images * (double)conv->c * padded > INT_MAX ||
        conv->images * (double)conv->k * area > INT_MAX ||
        (double)weight->n * weight->c * weight->h * weight->w > INT_MAX)
        return cnv__fail("an image of %d x %d x %d is too large for this convolution", x->c, x->h,
                         x->w);
    conv->padded_h = x->h + win->pad_top + win->pad_bottom;
    conv->padded_w = x->w + win->pad_left + win->pad_right;
    conv->padded_w = cnv__round_up(conv->padded_w, conv->hands);
    conv->pad = conv->padded_h != x->h || conv->padded_w != x->w || conv->hands > 1;
    conv->taps = conv->group_c * win->kernel_h * win->kernel_w;
    return 1;
}

/* w_row = [k] and w_col = [c][r][s]. Flipped, the weights are another convolution's [c][k][r][s],
   and each filter is turned by 180 degrees. */
static void cnv__weight_tables(cnv__conv *conv)
{
    int area = conv->win.kernel_h * conv->win.kernel_w, c;
    cnv__count_by(conv->w_row, conv->group_k, 0, conv->flip ? area : conv->taps);
    for (c = 0; conv->flip && c < conv->group_c; c++)
        cnv__count_by(conv->w_col + c * area, area, (c * conv->group_k + 1) * area - 1, -1);
    if (!conv->flip) cnv__count_by(conv->w_col, conv->taps, 0, 1);
}

/* tap = [c][r][s] and pixel = [n][p][q], as offsets into the padded images. Neighbours among the
   pixels must be neighbours in memory, so that vectors can be loaded. With a stride they are not:
   therefore the copy with the padding deals each row's columns out to as many hands, column u to
   place u / stride_w of hand u % stride_w. */
static void cnv__conv_tables(cnv__conv *conv)
{
    const cnv_window *win = &conv->win;
    int plane = conv->padded_h * conv->padded_w, hand = conv->padded_w / conv->hands;
    int i, c, r, s, p, *tap = conv->tap, *pixel = conv->pixel, *y_col = conv->y_col;
    for (c = 0; c < conv->group_c; c++)
        for (r = 0; r < win->kernel_h; r++)
            for (s = 0; s < win->kernel_w; s++) {
                int column = s * win->dilation_w;
                *tap++ = c * plane + r * win->dilation_h * conv->padded_w +
                         column % conv->hands * hand + column / conv->hands;
            }
    for (i = 0; i < conv->images; i++) {
        for (p = 0; p < conv->p; p++)
            pixel = cnv__count_by(pixel, conv->q, i * conv->c * plane +
                                  p * win->stride_h * conv->padded_w, win->stride_w / conv->hands);
        y_col = cnv__count_by(y_col, conv->p * conv->q, i * conv->k * conv->p * conv->q, 1);
    }
    cnv__count_by(conv->y_row, conv->group_k, 0, conv->p * conv->q);
    cnv__weight_tables(conv);
}

/* Whether images are read where they are, not packed: if that costs less. A panel is packed once
   for all filters; but without it each row of the output ends with a vector that is not full. */
static int cnv__conv_reads(const cnv__conv *conv)
{
    const cnv__kernels *kernels = cnv__use();
    double empty = (double)(cnv__round_up(conv->q, kernels->width) - conv->q) / conv->q;
    return conv->pad && conv->group_k <= 16 * kernels->tile_rows &&
           empty * conv->group_k <= kernels->tile_rows;
}

/* Lays out the memory: the real numbers first, then the tables. Packed weights have their place
   there too, unless they are to be kept from call to call. */
static int cnv__conv_memory(cnv__conv *conv, size_t packed, cnv_tensor *kept, cnv_workspace *ws)
{
    size_t image = conv->pad ? (size_t)conv->images * (size_t)conv->c *
                               (size_t)conv->padded_h * (size_t)conv->padded_w +
                               CNV__TILES_MORE : 0;
    size_t panel = (size_t)cnv__threads() * CNV__DEPTH * (size_t)cnv__use()->tile_columns;
    size_t area = (size_t)conv->images * (size_t)conv->p * (size_t)conv->q;
    /* Winograd's tables need 2 * CNV__TILES; one of them a row of x, which may exceed P*Q */
    size_t columns = (area < 2 * CNV__TILES ? 2 * CNV__TILES : area) + (size_t)conv->win.kernel_w;
    size_t rows = (size_t)conv->group_k + (size_t)conv->group_c + CNV__FILTERS;
    size_t taps = (size_t)conv->taps;
    size_t reals = image + panel + conv->work_size + (kept ? 0 : packed);
    size_t ints = 2 * (columns + rows + taps);
    cnv_real *real;
    int *table;
    if (!ws) ws = &conv->own;
    if (packed > INT_MAX) return cnv__fail("%d filters are too many", conv->k);
    if (kept && !kept->n && !cnv_tensor_resize(kept, 1, 1, 1, (int)packed)) return 0;
    real = (cnv_real *)cnv__workspace_bytes(ws, reals * sizeof(cnv_real) + ints * sizeof(int));
    if (!real) {
        if (kept) kept->n = 0;
        return 0;
    }
    conv->panel = real, conv->image = real + panel, conv->work = conv->image + image;
    conv->packed = conv->work + conv->work_size;
    table = (int *)(void *)(real + reals);
    conv->tap = table, conv->w_col = table + taps, conv->pixel = conv->w_col + taps;
    conv->y_col = conv->pixel + columns, conv->y_row = conv->y_col + columns;
    conv->w_row = conv->y_row + rows;
    conv->read_on = cnv__conv_reads(conv);
    cnv__conv_tables(conv);
    return 1;
}

static void cnv__conv_end(cnv__conv *conv) { cnv_workspace_free(&conv->own); }

/* One row of w numbers into one of the copy, whose zeros are there already. */
static void cnv__deal_row(const cnv__conv *conv, const cnv_real *from, cnv_real *row)
{
    int hands = conv->hands, hand = conv->padded_w / hands, left = conv->win.pad_left, x;
    int whole = left % hands ? hands - left % hands : 0, groups; /* from whole on in whole groups */
    if (hands == 1) {
        memcpy(row + left, from, (size_t)conv->w * sizeof *row);
        return;
    }
    if (whole > conv->w) whole = conv->w;
    groups = (conv->w - whole) / hands;
    cnv__use()->deal(hands, from + whole, groups, row + (left + whole) / hands, hand);
    for (x = 0; x < conv->w; x++) {
        if (x == whole) x += groups * hands;
        if (x < conv->w) row[(x + left) % hands * hand + (x + left) / hands] = from[x];
    }
}

/* And back: one row of dx from one of the copy. */
static void cnv__gather_row(const cnv__conv *conv, const cnv_real *row, cnv_real *to)
{
    int hands = conv->hands, hand = conv->padded_w / hands, left = conv->win.pad_left, x;
    int whole = left % hands ? hands - left % hands : 0, groups;
    if (hands == 1) {
        memcpy(to, row + left, (size_t)conv->w * sizeof *row);
        return;
    }
    if (whole > conv->w) whole = conv->w;
    groups = (conv->w - whole) / hands;
    cnv__use()->gather(hands, row + (left + whole) / hands, hand, groups, to + whole);
    for (x = 0; x < conv->w; x++) {
        if (x == whole) x += groups * hands;
        if (x < conv->w) to[x] = row[(x + left) % hands * hand + (x + left) / hands];
    }
}

/* The images from `first` on, with zeros around them: a copy, or x itself when it will do. */
static const cnv_real *cnv__conv_pad(const cnv__conv *conv, const cnv_real *x, int first, int count)
{
    size_t plane = (size_t)conv->h * (size_t)conv->w, width = (size_t)conv->padded_w;
    size_t padded = (size_t)conv->padded_h * width;
    int i, planes = count * conv->c;
    x += (size_t)first * (size_t)conv->c * plane;
    if (!conv->pad) return x;
    memset(conv->image + (size_t)planes * padded, 0, CNV__TILES_MORE * sizeof *x);
    CNV__PARALLEL_FOR((size_t)planes * padded > CNV__BLOCK)
    for (i = 0; i < planes; i++) {
        cnv_real *to = conv->image + (size_t)i * padded;
        const cnv_real *from = x + (size_t)i * plane;
        int row;
        memset(to, 0, padded * sizeof *to);
        to += (size_t)conv->win.pad_top * width;
        for (row = 0; row < conv->h; row++, to += width, from += conv->w)
            cnv__deal_row(conv, from, to);
    }
    return conv->image;
}

/* Adjoint of the above, without the zeros: copies the padded images' middle to dx. */
static void cnv__conv_unpad(const cnv__conv *conv, cnv_real *dx, int count)
{
    size_t plane = (size_t)conv->h * (size_t)conv->w, width = (size_t)conv->padded_w;
    size_t padded = (size_t)conv->padded_h * width;
    int i, planes = count * conv->c;
    CNV__PARALLEL_FOR((size_t)planes * padded > CNV__BLOCK)
    for (i = 0; i < planes; i++) {
        const cnv_real *from = conv->image + (size_t)i * padded;
        cnv_real *to = dx + (size_t)i * plane;
        int row;
        from += (size_t)conv->win.pad_top * width;
        for (row = 0; row < conv->h; row++, from += width, to += conv->w)
            cnv__gather_row(conv, from, to);
    }
}

/* Packs operand A, whose element (i,d) is data[row[i] + col[d]], into panels of tile_rows rows. */
static void cnv__pack_rows(const cnv_real *data, const int *row, int m, const int *col, int depth,
                           cnv_real *packed)
{
    const cnv__kernels *kernels = cnv__use();
    int panel, step = kernels->tile_rows, panels = cnv__round_up(m, step) / step;
    CNV__PARALLEL_FOR((size_t)m * (size_t)depth > CNV__BLOCK)
    for (panel = 0; panel < panels; panel++) {
        int i = panel * step, lanes = m - i < step ? m - i : step;
        kernels->pack(data, row + i, lanes, col, depth, step, packed + (size_t)i * (size_t)depth);
    }
}

/* All columns of a product, shared out among the threads; each takes so many at once that they
   stay in the second-level cache. */
static void cnv__run_product(const cnv__product *g, int columns, cnv_real *panels)
{
    const cnv__kernels *kernels = cnv__use();
    int threads = (double)g->m * g->k * columns > CNV__SHARED_WORK ? cnv__threads() : 1;
    int share = cnv__round_up((columns + threads - 1) / threads, kernels->width);
    int step = kernels->tile_columns, block = cnv__round_up(4 * step + 100000 / g->m, step), i;
    CNV__PARALLEL_FOR(threads > 1)
    for (i = 0; i < threads; i++) {
        int j0 = i * share, j1 = j0 + share < columns ? j0 + share : columns;
        cnv_real *panel = panels + (size_t)i * CNV__DEPTH * (size_t)step;
        for (; j0 < j1; j0 += block)
            kernels->product(g, j0, j0 + block < j1 ? j0 + block : j1, panel);
    }
}

/* How many numbers a packed A of `groups` matrices [m][depth] takes. */
static size_t cnv__packed_size(int groups, int m, int depth)
{
    return (size_t)groups * (size_t)cnv__round_up(m, cnv__use()->tile_rows) * (size_t)depth;
}

/* y = convolution with weights packed per group as [group_k][taps]. The workhorse. */
static void cnv__conv_run(const cnv__conv *conv, const cnv_real *x, const cnv_real *packed,
                          const cnv_real *bias, cnv_real *y)
{
    int first, group, area = conv->p * conv->q, plane = conv->padded_h * conv->padded_w;
    for (first = 0; first < conv->n; first += conv->images) {
        int count = conv->n - first < conv->images ? conv->n - first : conv->images;
        const cnv_real *image = cnv__conv_pad(conv, x, first, count);
        for (group = 0; group < conv->groups; group++) {
            size_t k0 = (size_t)group * (size_t)conv->group_k;
            cnv__product g;
            g.m = conv->group_k, g.k = conv->taps, g.add = 0, g.read_on = conv->read_on;
            g.depth = g.k; /* a channel's taps read the same lines again and again */
            g.a = packed + (size_t)group * cnv__packed_size(1, conv->group_k, conv->taps);
            g.b = image + group * conv->group_c * plane, g.b_row = conv->tap, g.b_col = conv->pixel;
            g.c = y + ((size_t)first * (size_t)conv->k + k0) * (size_t)area;
            g.c_row = conv->y_row, g.c_col = conv->y_col;
            g.bias = bias ? bias + k0 : NULL;
            cnv__run_product(&g, count * area, conv->panel);
        }
    }
}

/* Packs the weights as the forward pass wants them. */
static void cnv__conv_pack(const cnv__conv *conv, const cnv_real *weight, cnv_real *packed)
{
    size_t weights = (size_t)conv->group_k * (size_t)conv->taps;
    size_t size = cnv__packed_size(1, conv->group_k, conv->taps);
    int group;
    for (group = 0; group < conv->groups; group++)
        cnv__pack_rows(weight + (size_t)group * weights, conv->w_row, conv->group_k, conv->w_col,
                       conv->taps, packed + (size_t)group * size);
}

/* Winograd's way, see 5.2. Tiles are numbered through all images; a block of CNV__TILES of them is
   taken into the other basis, multiplied with a lot of filters at a time and taken back, so that
   they stay in the cache. Filters of 3 x 3 are 4 times as large in that basis. They are kept when
   they are needed more than once and not too large; else each lot of them is made when its turn
   comes. */
static int cnv__winograd_allowed = 1;

CNVDEF void cnv_use_winograd(int on) { cnv__winograd_allowed = on; }

typedef struct {
    cnv__conv *conv;
    int size, out;               /* of a filter, 3 or 5; of a tile's outputs: 7 - size */
    int across, down, total;     /* tiles in a row, in a column, in all images */
    int lanes, band;             /* images side by side, rows of tiles of each; or 0: see below */
    int blocks, threads;         /* threads that share the work: blocks, or the lots of each */
    int lot;                     /* filters at a time */
    int stride;                  /* numbers from a row of v and m to the next */
    int keep;                    /* u holds all filters; else each thread has room for a lot */
    size_t u_step, v_step, m_step; /* from one of the 36 matrices to the next */
    size_t plain, memory;        /* numbers for a lot of filters; for all that a thread needs */
    const cnv_real *x, *weight, *bias;
    cnv_real *u, *y;
} cnv__winograd;

/* Filters of so many numbers are not kept, if that can be helped. */
#ifndef CNV__LARGE
#define CNV__LARGE 100000
#endif
/* From so many products on, filters x channels x tiles in a row for each lane of a vector, the ways
   into the basis and out of it pay. */
#ifndef CNV__WORTH
#define CNV__WORTH 512
#endif
static int cnv__winograd_large(const cnv__conv *conv)
{
    return (double)conv->k * conv->c > CNV__LARGE;
}

/* Whether it can be done at all, and is worth while with so many channels. */
static int cnv__winograd_fits(const cnv__conv *conv)
{
    const cnv_window *win = &conv->win;
    return cnv__winograd_allowed && conv->groups == 1 &&
           (win->kernel_h == 3 || win->kernel_h == 5) && win->kernel_w == win->kernel_h &&
           win->stride_h == 1 && win->stride_w == 1 && win->dilation_h == 1 &&
           win->dilation_w == 1 && conv->c >= 16 && conv->k >= 16;
}

/* Whether it is faster, as measured: there must be tiles enough for a vector, mostly full ones; and
   the products must outweigh the ways into the basis and out of it, which are longer for large
   filters. Where an image alone has too few tiles, those of a batch may be enough: then it comes
   out the same in both but for rounding. */
static int cnv__winograd_wins(const cnv__conv *conv)
{
    double area = (double)conv->p * conv->q, across, tiles;
    int out = 7 - conv->win.kernel_h;
    if (!cnv__winograd_fits(conv)) return 0;
    across = (conv->q + out - 1) / out, tiles = (conv->p + out - 1) / out * across;
    return conv->n * tiles >= (cnv__winograd_large(conv) ? 25 : 16) &&
           area >= 0.6 * out * out * tiles &&
           across * conv->c * conv->k >= CNV__WORTH * cnv__use()->width &&
           36.0 * conv->c * ((double)conv->k + CNV__FILTERS) < INT_MAX;
}

/* Images that are so small that rows of tiles do not fill a vector lie side by side, each in a lane
   of its own, if the batch has enough: a block is then some rows of tiles of all of these. */
static void cnv__winograd_batch(cnv__winograd *w)
{
    const cnv__conv *conv = w->conv;
    int lanes = cnv__use()->width < conv->n ? cnv__use()->width : conv->n;
    if (lanes <= 2 * w->across || lanes * w->across > CNV__TILES ||
        (double)lanes * conv->c * conv->h * conv->w > INT_MAX)
        return;
    w->lanes = lanes, w->band = CNV__TILES / (lanes * w->across);
    if (w->band > w->down) w->band = w->down;
    w->blocks = cnv__round_up(conv->n, lanes) / lanes * (cnv__round_up(w->down, w->band) / w->band);
}

static cnv__winograd cnv__winograd_sizes(cnv__conv *conv)
{
    const size_t line = 16; /* without it the 36 matrices might share one set of cache lines */
    int rows = cnv__use()->tile_rows, lots;
    size_t c = (size_t)conv->c, stride = CNV__TILES + CNV__TILES_MORE;
    cnv__winograd w;
    memset(&w, 0, sizeof w);
    w.conv = conv, w.size = conv->win.kernel_h, w.out = 7 - w.size;
    w.across = cnv__round_up(conv->q, w.out) / w.out;
    w.down = cnv__round_up(conv->p, w.out) / w.out;
    w.total = conv->n * w.across * w.down;
    w.blocks = cnv__round_up(w.total, CNV__TILES) / CNV__TILES;
    cnv__winograd_batch(&w);
    w.threads = 36.0 * w.total * conv->c * conv->k < CNV__SHARED_WORK ? 1 : cnv__threads();
    w.keep = !cnv__winograd_large(conv) || w.blocks > 1;
    lots = cnv__round_up(cnv__round_up(conv->k, CNV__FILTERS) / CNV__FILTERS,
                         w.blocks < w.threads ? w.threads : 1);
    w.lot = cnv__round_up((conv->k + lots - 1) / lots, rows);
    w.stride = (int)stride;
    w.u_step = (size_t)(w.keep ? cnv__round_up(conv->k, rows) : w.lot) * c + line;
    w.v_step = c * stride + line, w.m_step = (size_t)w.lot * stride + line;
    w.plain = (size_t)w.lot * (size_t)conv->taps + CNV__TILES_MORE;
    w.memory = 36 * (w.v_step + w.m_step) + w.plain + (w.keep ? 0 : 36 * w.u_step);
    return w;
}

/* Filters k ... k+count-1 as panels [c][size*r + s][tile_rows]. Flipped, the weights are
   [c][k][r][s]: then all that is needed of a channel lies together, and each panel is dealt its
   share of it. */
static void cnv__winograd_plain(const cnv__winograd *w, int k, int count, cnv_real *plain)
{
    const cnv__kernels *kernels = cnv__use();
    const cnv__conv *conv = w->conv;
    int rows = kernels->tile_rows, area = w->size * w->size, i, c;
    for (i = 0; i < count; i += rows) {
        int lanes = count - i < rows ? count - i : rows;
        cnv_real *panel = plain + (size_t)i * (size_t)conv->taps;
        if (!conv->flip)
            kernels->pack(w->weight, conv->w_row + k + i, lanes, conv->w_col, conv->taps, rows,
                          panel);
        else if (lanes < rows)
            memset(panel, 0, (size_t)(rows * conv->taps) * sizeof *panel);
    }
    for (c = 0; c < (conv->flip ? conv->c : 0); c++) {
        const cnv_real *from = w->weight + ((size_t)c * (size_t)conv->k + (size_t)k) * (size_t)area;
        cnv_real *to = plain + c * area * rows;
        for (i = 0; i < count; i += rows, from += area * rows, to += rows * conv->taps)
            kernels->deal(area, from, count - i < rows ? count - i : rows, to, rows);
    }
}

/* Filters k ... k+count-1 into the other basis; u is where the first of them goes */
static void cnv__winograd_pack(const cnv__winograd *w, int k, int count, cnv_real *plain,
                               cnv_real *u)
{
    const cnv__kernels *kernels = cnv__use();
    const cnv__conv *conv = w->conv;
    int i;
    cnv__winograd_plain(w, k, count, plain);
    for (i = 0; i < count; i += kernels->tile_rows)
        kernels->winograd_filters(w->size, conv->c, conv->flip,
                                  plain + (size_t)i * (size_t)conv->taps,
                                  u + (size_t)i * (size_t)conv->c, w->u_step);
}

/* Of `count` tiles from `tile` on: how many are neighbours in a row, and where the first one is. */
static int cnv__winograd_run(const cnv__winograd *w, int tile, int count, int *image, int *top,
                             int *left)
{
    int row = tile / w->across, rest = w->across - tile % w->across;
    *image = row / w->down, *top = row % w->down * w->out, *left = tile % w->across * w->out;
    return count < rest ? count : rest;
}

/* Channel c of these tiles, into v */
static void cnv__winograd_in_tiles(const cnv__winograd *w, int tile, int count, int c, cnv_real *v)
{
    const cnv__conv *conv = w->conv;
    cnv_real rows[6 * 4 * (CNV__TILES + 2) + 4 * CNV__MAX_TILE];
    int image, top, left, run, i;
    for (; count > 0; count -= run, tile += run, v += run) {
        const cnv_real *plane;
        int width, before, after;
        run = cnv__winograd_run(w, tile, count, &image, &top, &left);
        plane = w->x + (size_t)(image * conv->c + c) * (size_t)(conv->h * conv->w);
        width = cnv__round_up(w->out * run + w->size - 1, w->out);
        top -= conv->win.pad_top, left -= conv->win.pad_left;
        before = left < 0 ? -left : 0;
        after = left + width < conv->w ? width : conv->w - left;
        memset(rows, 0, sizeof *rows * (size_t)(6 * width + w->out * CNV__MAX_TILE));
        for (i = 0; i < 6; i++)
            if (top + i >= 0 && top + i < conv->h && after > before)
                memcpy(rows + i * width + before, plane + (top + i) * conv->w + left + before,
                       sizeof *rows * (size_t)(after - before));
        cnv__use()->winograd_input(w->out, run, rows, width, v, w->v_step);
    }
}

/* Filter k of these tiles, from m to y */
static void cnv__winograd_out_tiles(const cnv__winograd *w, int tile, int count, int k,
                                    const cnv_real *m)
{
    const cnv__conv *conv = w->conv;
    cnv_real rows[4][4 * (CNV__TILES + CNV__TILES_MORE)];
    int image, top, left, run, i, from = 0;
    cnv__use()->winograd_output(w->out, count, m, w->m_step, w->bias ? w->bias[k] : 0, rows[0],
                                4 * w->stride);
    for (; count > 0; count -= run, tile += run, from += w->out * run) {
        cnv_real *plane;
        int columns;
        run = cnv__winograd_run(w, tile, count, &image, &top, &left);
        columns = left + w->out * run < conv->q ? w->out * run : conv->q - left;
        plane = w->y + (size_t)(image * conv->k + k) * (size_t)(conv->p * conv->q);
        for (i = 0; i < w->out && top + i < conv->p; i++)
            memcpy(plane + (top + i) * conv->q + left, rows[i] + from,
                   sizeof *plane * (size_t)columns);
    }
}

/* A block of images side by side: which they are, and which of their rows of tiles. */
typedef struct {
    int image, images, row, rows;
} cnv__winograd_block;

static cnv__winograd_block cnv__winograd_images(const cnv__winograd *w, int block)
{
    cnv__winograd_block b;
    int bands = cnv__round_up(w->down, w->band) / w->band, rest;
    b.image = block / bands * w->lanes, rest = w->conv->n - b.image;
    b.images = rest < w->lanes ? rest : w->lanes;
    b.row = block % bands * w->band, rest = w->down - b.row;
    b.rows = rest < w->band ? rest : w->band;
    return b;
}

/* How many tiles a block has. */
static int cnv__winograd_count(const cnv__winograd *w, int block)
{
    int rest = w->total - block * CNV__TILES;
    cnv__winograd_block b;
    if (!w->lanes) return rest < CNV__TILES ? rest : CNV__TILES;
    b = cnv__winograd_images(w, block);
    return b.images * b.rows * w->across;
}

/* Row y of planes that begin at x + plane[i], [h][w], as [width][count]: from column -left on, with
   zeros where there is none */
static void cnv__last_line(const cnv_real *x, const int *plane, int count, int h, int w,
                           const int *along, int y, int left, int width, cnv_real *last)
{
    int inside = y >= 0 && y < h, from = inside ? left : width, to = inside ? left + w : width;
    memset(last, 0, (size_t)(from * count) * sizeof *last);
    if (inside) cnv__use()->pack(x + y * w, plane, count, along, w, count, last + from * count);
    if (to < width) memset(last + to * count, 0, (size_t)((width - to) * count) * sizeof *last);
}

/* Channel c of images side by side, into v: with images last, each tile is 6 x 6 vectors. */
static void cnv__winograd_in_images(const cnv__winograd *w, int block, int c, cnv_real *v)
{
    const cnv__conv *conv = w->conv;
    const cnv__winograd_block b = cnv__winograd_images(w, block);
    const int reach = w->size - 1, width = w->out * w->across + reach, n = b.images;
    const cnv_real *x = w->x + (size_t)(b.image * conv->c + c) * (size_t)(conv->h * conv->w);
    const cnv__basis basis = {CNV__BT, w->size, 0, 6, n, (size_t)(width * n), (size_t)n,
                              6 * w->v_step, w->v_step};
    cnv_real last[27 * CNV__TILES]; /* [out * rows + reach][width][n] */
    int y, tile;
    for (y = 0; y < w->out * b.rows + reach; y++)
        cnv__last_line(x, conv->y_row + CNV__FILTERS, n, conv->h, conv->w, conv->y_col,
                       b.row * w->out + y - conv->win.pad_top, conv->win.pad_left, width,
                       last + y * width * n);
    for (tile = 0; tile < b.rows * w->across; tile++, v += n) {
        int corner = w->out * (tile / w->across * width + tile % w->across);
        cnv__use()->winograd_rows(&basis, last + corner * n, v);
    }
}

/* Filter k of images side by side, from m to y */
static void cnv__winograd_out_images(const cnv__winograd *w, int block, int k, const cnv_real *m)
{
    const cnv__conv *conv = w->conv;
    const cnv__winograd_block b = cnv__winograd_images(w, block);
    const int top = w->out * b.row, rest = conv->p - top, width = w->out * w->across;
    const int area = conv->q * (w->out * b.rows < rest ? w->out * b.rows : rest);
    const cnv__basis basis = {CNV__AT, w->size, 0, w->out, b.images, 6 * w->m_step, w->m_step,
                              (size_t)(width * w->lanes), (size_t)w->lanes};
    cnv_real last[16 * CNV__TILES], turned[16 * CNV__TILES]; /* [y][width][lanes], [image][y][q] */
    int tile, i;
    for (tile = 0; tile < b.rows * w->across; tile++, m += b.images) {
        int corner = w->out * (tile / w->across * width + tile % w->across);
        cnv__use()->winograd_rows(&basis, m, last + corner * w->lanes);
    }
    cnv__use()->pack(last, conv->pixel, area, conv->y_col, b.images, area, turned);
    for (i = 0; i < b.images; i++)
        cnv__use()->affine((size_t)area, 1, w->bias ? w->bias[k] : 0, turned + i * area,
                           w->y + (size_t)((b.image + i) * conv->k + k) *
                           (size_t)(conv->p * conv->q) + top * conv->q);
}

/* m = u v of a lot of filters, for each of the 36 matrices */
static void cnv__winograd_products(const cnv__winograd *w, int filters, int columns,
                                   const cnv_real *u, const cnv_real *v, cnv_real *m,
                                   cnv_real *panel)
{
    const cnv__conv *conv = w->conv;
    cnv__product g;
    size_t i;
    g.m = cnv__round_up(filters, cnv__use()->tile_rows), g.k = conv->c;
    g.b_row = conv->tap, g.c_row = conv->y_row, g.b_col = conv->y_col, g.c_col = conv->y_col;
    g.bias = NULL, g.add = 0, g.read_on = 1, g.depth = CNV__DEPTH;
    for (i = 0; i < 36; i++) {
        g.a = u + i * w->u_step, g.b = v + i * w->v_step, g.c = m + i * w->m_step;
        cnv__use()->product(&g, 0, columns, panel);
    }
}

/* Every each-th channel of a block, from `first` on, into v; then a few zeros, for the product goes
   on to the next multiple of CNV__TILES_MORE */
static void cnv__winograd_channels(const cnv__winograd *w, int block, int first, int each,
                                   cnv_real *v)
{
    int count = cnv__winograd_count(w, block), c, i;
    for (c = first; c < w->conv->c; c += each) {
        cnv_real *row = v + c * w->stride;
        if (w->lanes) cnv__winograd_in_images(w, block, c, row);
        else cnv__winograd_in_tiles(w, block * CNV__TILES, count, c, row);
        for (i = 0; i < 36; i++)
            memset(row + (size_t)i * w->v_step + count, 0, sizeof *v * CNV__TILES_MORE);
    }
}

/* Every each-th lot of filters from the first-th on; m, and the filters if they aren't kept, in
   `memory` */
static void cnv__winograd_lots(const cnv__winograd *w, int block, int first, int each,
                               const cnv_real *v, cnv_real *memory, cnv_real *panel)
{
    int count = cnv__winograd_count(w, block), columns = cnv__round_up(count, CNV__TILES_MORE);
    int k, i, filters, many = w->conv->k;
    cnv_real *m = memory + 36 * w->v_step, *plain = m + 36 * w->m_step, *u = plain + w->plain;
    for (k = first * w->lot; k < many; k += each * w->lot) {
        filters = many - k < w->lot ? many - k : w->lot;
        if (w->keep) u = w->u + (size_t)k * (size_t)w->conv->c;
        else cnv__winograd_pack(w, k, filters, plain, u);
        cnv__winograd_products(w, filters, columns, u, v, m, panel);
        for (i = 0; i < filters; i++)
            if (w->lanes) cnv__winograd_out_images(w, block, k + i, m + i * w->stride);
            else cnv__winograd_out_tiles(w, block * CNV__TILES, count, k + i, m + i * w->stride);
    }
}

/* All filters, to be kept: each thread makes its lots of them */
static void cnv__winograd_keep(const cnv__winograd *w)
{
    const cnv__conv *conv = w->conv;
    int t, threads = cnv__threads();
    CNV__PARALLEL_FOR(36.0 * conv->k * conv->c > CNV__BLOCK)
    for (t = 0; t < threads; t++) {
        cnv_real *plain = conv->work + (size_t)t * w->memory;
        int k;
        for (k = t * w->lot; k < conv->k; k += threads * w->lot)
            cnv__winograd_pack(w, k, conv->k - k < w->lot ? conv->k - k : w->lot, plain,
                               w->u + (size_t)k * (size_t)conv->c);
    }
}

/* y = the convolution of x. Threads take blocks, or where there are few share each of them; regions
   of threads do not lie within others, where they would be started anew every time. */
static void cnv__winograd_convolve(const cnv__winograd *w)
{
    const cnv__conv *conv = w->conv;
    int blocks = w->blocks, threads = w->threads, shared = blocks < threads, block, t;
    int panel = CNV__DEPTH * cnv__use()->tile_columns, width = w->out * w->across, y;
    cnv__count_by(conv->tap, conv->c, 0, w->stride); /* rows of v and m, the products' tables */
    cnv__count_by(conv->y_row, CNV__FILTERS, 0, w->stride);
    cnv__count_by(conv->y_col, CNV__TILES + CNV__TILES_MORE, 0, 1);
    cnv__count_by(conv->y_row + CNV__FILTERS, w->lanes, 0, conv->c * conv->h * conv->w);
    for (y = 0; y < w->out * w->band && y < conv->p; y++) /* pixels of images side by side */
        cnv__count_by(conv->pixel + y * conv->q, conv->q, y * width * w->lanes, w->lanes);
    for (block = 0; shared && block < blocks; block++) {
        CNV__PARALLEL_FOR(1)
        for (t = 0; t < threads; t++) cnv__winograd_channels(w, block, t, threads, conv->work);
        CNV__PARALLEL_FOR(1)
        for (t = 0; t < threads; t++)
            cnv__winograd_lots(w, block, t, threads, conv->work, conv->work + (size_t)t * w->memory,
                               conv->panel + t * panel);
    }
    CNV__PARALLEL_FOR(threads > 1)
    for (t = 0; t < (shared ? 0 : threads); t++) {
        cnv_real *memory = conv->work + (size_t)t * w->memory;
        int mine;
        for (mine = t; mine < blocks; mine += threads) {
            cnv__winograd_channels(w, mine, 0, 1, memory);
            cnv__winograd_lots(w, mine, 0, 1, memory, memory, conv->panel + t * panel);
        }
    }
}

static int cnv__convolve_winograd(cnv__conv *conv, const cnv_real *x, const cnv_real *weight,
                                  const cnv_real *bias, cnv_real *y, cnv_workspace *ws,
                                  cnv_tensor *kept)
{
    cnv__winograd w = cnv__winograd_sizes(conv);
    size_t size = w.keep ? 36 * w.u_step : 0;
    int fresh;
    if (!w.keep) kept = NULL;
    if (kept && kept->n && (size_t)kept->w != size) kept->n = 0;
    fresh = !kept || !kept->n;
    conv->pad = 0;
    conv->work_size = w.memory * (size_t)cnv__threads();
    if (!cnv__conv_memory(conv, size, kept, ws)) return 0;
    w.x = x, w.weight = weight, w.bias = bias, w.y = y, w.u = kept ? kept->data : conv->packed;
    if (w.keep && fresh) cnv__winograd_keep(&w);
    cnv__winograd_convolve(&w);
    cnv__conv_end(conv);
    return 1;
}

/* y = the convolution of x. `kept`, if not NULL, holds the packed weights from call to call, and is
   filled when it has another size: with kept->n 0, or for another way. */
static int cnv__convolve(cnv__conv *conv, const cnv_real *x, const cnv_real *weight,
                         const cnv_real *bias, cnv_real *y, cnv_workspace *ws, cnv_tensor *kept)
{
    size_t size = cnv__packed_size(conv->groups, conv->group_k, conv->taps);
    int fresh;
    cnv_real *packed;
    if (cnv__winograd_wins(conv))
        return cnv__convolve_winograd(conv, x, weight, bias, y, ws, kept);
    if (kept && kept->n && (size_t)kept->w != size) kept->n = 0;
    fresh = !kept || !kept->n;
    if (!cnv__conv_memory(conv, size, kept, ws)) return 0;
    packed = kept ? kept->data : conv->packed;
    if (fresh) cnv__conv_pack(conv, weight, packed);
    cnv__conv_run(conv, x, packed, bias, y);
    cnv__conv_end(conv);
    return 1;
}

static int cnv__conv2d_forward(const cnv_tensor *x, const cnv_tensor *weight,
                               const cnv_tensor *bias, const cnv_window *win, int groups,
                               cnv_tensor *y, cnv_workspace *ws, cnv_tensor *kept)
{
    cnv__conv conv;
    if (!cnv__conv_sizes(&conv, x, weight, win, groups)) return 0;
    if (bias && cnv_tensor_size(bias) != (size_t)conv.k)
        return cnv__fail("%d filters cannot have %.0f biases", conv.k,
                         (double)cnv_tensor_size(bias));
    return cnv_tensor_resize(y, conv.n, conv.k, conv.p, conv.q) &&
           cnv__convolve(&conv, x->data, weight->data, bias ? bias->data : NULL, y->data, ws,
                         kept);
}

CNVDEF int cnv_conv2d_forward(const cnv_tensor *x, const cnv_tensor *weight, const cnv_tensor *bias,
                              const cnv_window *win, int groups, cnv_tensor *y, cnv_workspace *ws)
{
    return cnv__conv2d_forward(x, weight, bias, win, groups, y, ws, NULL);
}

/* Whether the gradient of x can be had by one more convolution. With stride 1,
     dx[c,h,w] = sum over k,r,s of w[k,c,r,s] * dy[k, h + pad - r, w + pad - s],
   which is the convolution of dy with the flipped filters, channels and filters exchanged; it wants
   dy padded by (R - 1) - pad. With few channels (pixels!) its product would be too flat. */
static int cnv__conv_flips(const cnv_window *win, int group_c)
{
    int reach_h = (win->kernel_h - 1) * win->dilation_h;
    int reach_w = (win->kernel_w - 1) * win->dilation_w;
    return win->stride_h == 1 && win->stride_w == 1 && win->pad_top <= reach_h &&
           win->pad_bottom <= reach_h && win->pad_left <= reach_w && win->pad_right <= reach_w &&
           group_c >= cnv__use()->tile_rows;
}

/* The window of that other convolution. */
static cnv_window cnv__conv_flip_window(const cnv_window *win)
{
    cnv_window flip = *win;
    flip.pad_top = (win->kernel_h - 1) * win->dilation_h - win->pad_top;
    flip.pad_bottom = (win->kernel_h - 1) * win->dilation_h - win->pad_bottom;
    flip.pad_left = (win->kernel_w - 1) * win->dilation_w - win->pad_left;
    flip.pad_right = (win->kernel_w - 1) * win->dilation_w - win->pad_right;
    return flip;
}

static int cnv__conv2d_backward_flip(const cnv_tensor *dy, const cnv_tensor *weight,
                                     const cnv_window *win, int groups, cnv_tensor *dx,
                                     cnv_workspace *ws, cnv_tensor *kept)
{
    cnv__conv conv;
    cnv_window flip = cnv__conv_flip_window(win);
    cnv_tensor turned = cnv_tensor_view(NULL, dx->c, weight->n / groups, weight->h, weight->w);
    if (!cnv__conv_sizes(&conv, dy, &turned, &flip, groups)) return 0;
    conv.flip = 1;
    return cnv__convolve(&conv, dy->data, weight->data, NULL, dx->data, ws, kept);
}

/* With a stride there is no such convolution, but one that gives a patch of stride_h x stride_w
   pixels of dx at once: its rows are (c,a,b) for the pixels (a,b) of a patch. A row i*stride_h + a
   of the padded dx hears from the output rows p = i - u, by tap r = a + u*stride_h. So the patches
   are a convolution of dy with filters that hold w[k,c,r,s] at (-u,-v) where r < R and s < S, and 0
   elsewhere: a sub-pixel convolution (Shi et al. 2016). It pays where channels are few (the pixels,
   at which every visualization ends!) and filters are large, for then few of those are 0. */
static int cnv__conv_patches(const cnv__conv *conv)
{
    const cnv_window *win = &conv->win;
    return conv->groups == 1 && conv->c < cnv__use()->tile_rows &&
           (win->stride_h > 1 || win->stride_w > 1) && win->kernel_h / 2 >= win->stride_h &&
           win->kernel_w / 2 >= win->stride_w && win->dilation_h == 1 && win->dilation_w == 1;
}

/* Its window over dy: it reaches back to the first output row that a patch hears from. */
static cnv_window cnv__patch_window(const cnv__conv *conv)
{
    const cnv_window *win = &conv->win;
    cnv_window over = cnv_square(1, 1, 0);
    over.pad_top = (win->kernel_h - 1) / win->stride_h, over.kernel_h = 1 + over.pad_top;
    over.pad_left = (win->kernel_w - 1) / win->stride_w, over.kernel_w = 1 + over.pad_left;
    over.pad_bottom = cnv__round_up(conv->padded_h, win->stride_h) / win->stride_h - conv->p;
    over.pad_right = cnv__round_up(conv->padded_w, win->stride_w) / win->stride_w - conv->q;
    return over;
}

/* filters [(c,a,b)][(k,u,v)] from weight [K,C,R,S]; over: the window above */
static void cnv__patch_filters(const cnv__conv *conv, const cnv_window *over,
                               const cnv_real *weight, cnv_real *filters)
{
    int rows = conv->win.stride_h, columns = conv->win.stride_w, c, a, b, k, u, v;
    for (c = 0; c < conv->c; c++)
        for (a = 0; a < rows; a++)
            for (b = 0; b < columns; b++)
                for (k = 0; k < conv->k; k++)
                    for (u = over->kernel_h - 1; u >= 0; u--)
                        for (v = over->kernel_w - 1; v >= 0; v--) {
                            int r = a + u * rows, s = b + v * columns;
                            int at = ((k * conv->c + c) * conv->win.kernel_h + r) *
                                     conv->win.kernel_w + s;
                            int inside = r < conv->win.kernel_h && s < conv->win.kernel_w;
                            *filters++ = inside ? weight[at] : 0;
                        }
}

/* dx of one image from its patches [(c,a,b)][i][j]; a row of dx and what hangs over it is gathered
   in `row` first. */
static void cnv__patch_place(const cnv__conv *conv, int i_count, int j_count,
                             const cnv_real *patches, cnv_real *row, cnv_real *dx)
{
    int rows = conv->win.stride_h, columns = conv->win.stride_w, c, a, i;
    for (c = 0; c < conv->c; c++, dx += conv->h * conv->w)
        for (a = 0; a < rows; a++, patches += columns * i_count * j_count)
            for (i = 0; i < i_count; i++) {
                int h = i * rows + a - conv->win.pad_top;
                if (h < 0 || h >= conv->h) continue;
                cnv__use()->gather(columns, patches + i * j_count, i_count * j_count, j_count, row);
                memcpy(dx + h * conv->w, row + conv->win.pad_left, (size_t)conv->w * sizeof *row);
            }
}

static int cnv__conv2d_backward_patches(const cnv__conv *data, const cnv_tensor *dy,
                                        const cnv_tensor *weight, cnv_tensor *dx,
                                        cnv_workspace *ws, cnv_tensor *kept)
{
    cnv__conv conv;
    cnv_window over = cnv__patch_window(data);
    int rows = data->c * data->win.stride_h * data->win.stride_w, fresh = !kept || !kept->n, i;
    cnv_tensor filters = cnv_tensor_view(NULL, rows, data->k, over.kernel_h, over.kernel_w);
    size_t image, row;
    cnv_real *packed;
    if (!cnv__conv_sizes(&conv, dy, &filters, &over, 1)) return 0;
    image = (size_t)rows * (size_t)conv.p * (size_t)conv.q;
    row = (size_t)data->win.stride_w * (size_t)conv.q;
    conv.work_size = (size_t)conv.n * (image + row);
    if (conv.work_size < cnv_tensor_size(&filters)) conv.work_size = cnv_tensor_size(&filters);
    if (!cnv__conv_memory(&conv, cnv__packed_size(1, rows, conv.taps), kept, ws)) return 0;
    packed = kept ? kept->data : conv.packed;
    if (fresh) {
        cnv__patch_filters(data, &over, weight->data, conv.work);
        cnv__conv_pack(&conv, conv.work, packed);
    }
    cnv__conv_run(&conv, dy->data, packed, NULL, conv.work);
    CNV__PARALLEL_FOR((size_t)conv.n * image > CNV__BLOCK)
    for (i = 0; i < conv.n; i++)
        cnv__patch_place(data, conv.p, conv.q, conv.work + (size_t)i * image,
                         conv.work + (size_t)conv.n * image + (size_t)i * row,
                         cnv_tensor_image(dx, i).data);
    cnv__conv_end(&conv);
    return 1;
}

/* Channels whose windows are added back by one product: their rows fill a few tiles. Different
   channels write to different places, so that threads may share them out. */
static int cnv__conv_share(const cnv__conv *conv)
{
    int area = conv->win.kernel_h * conv->win.kernel_w, share = 1 + 47 / area;
    return share < conv->group_c ? share : conv->group_c;
}

/* Packs weight^T: for each group and share of channels, rows (c,r,s), depth k. */
static void cnv__conv_transpose_pack(const cnv__conv *conv, const cnv_real *weight,
                                     cnv_real *packed)
{
    int area = conv->win.kernel_h * conv->win.kernel_w, share = cnv__conv_share(conv), group, c;
    size_t weights = (size_t)conv->group_k * (size_t)conv->taps;
    for (group = 0; group < conv->groups; group++)
        for (c = 0; c < conv->group_c; c += share) {
            int rows = (conv->group_c - c < share ? conv->group_c - c : share) * area;
            cnv__pack_rows(weight + (size_t)group * weights, conv->w_col + c * area, rows,
                           conv->w_row, conv->group_k, packed);
            packed += cnv__packed_size(1, rows, conv->group_k);
        }
}

/* dx of image i of the batch, into the padded images at `to`, for one share of channels. */
static void cnv__conv_add_back(const cnv__conv *conv, int part, const cnv_real *packed,
                               const cnv_real *dy, cnv_real *to, cnv_real *panel)
{
    int area = conv->win.kernel_h * conv->win.kernel_w, share = cnv__conv_share(conv);
    int parts = (conv->group_c + share - 1) / share, group = part / parts, c = part % parts * share;
    int last = conv->group_c - (parts - 1) * share; /* channels in a group's last share */
    size_t full = cnv__packed_size(1, share * area, conv->group_k);
    size_t end = cnv__packed_size(1, last * area, conv->group_k);
    int outputs = conv->p * conv->q;
    cnv__product g;
    g.m = (c + share < conv->group_c ? share : last) * area, g.k = conv->group_k;
    g.a = packed + (size_t)group * (full * (size_t)(parts - 1) + end) + (size_t)(c / share) * full;
    g.b = dy + (size_t)group * (size_t)conv->group_k * (size_t)outputs;
    g.b_row = conv->y_row, g.b_col = conv->y_col;
    g.c = to + (size_t)(group * conv->group_c) * (size_t)(conv->padded_h * conv->padded_w);
    g.c_row = conv->tap + c * area, g.c_col = conv->pixel;
    g.bias = NULL, g.add = 1, g.depth = CNV__DEPTH;
    g.read_on = outputs % cnv__use()->width == 0; /* whole vectors only: none reads too far */
    cnv__use()->product(&g, 0, outputs, panel);
}

/* All images, all shares of channels; dx has been found to have the right shape. */
static void cnv__conv_transpose_run(const cnv__conv *conv, const cnv_real *packed,
                                    const cnv_real *dy, cnv_real *dx)
{
    int share = cnv__conv_share(conv), parts = (conv->group_c + share - 1) / share * conv->groups;
    int threads = cnv__threads(), first, t;
    size_t padded = (size_t)conv->c * (size_t)conv->padded_h * (size_t)conv->padded_w;
    size_t in = (size_t)conv->c * (size_t)conv->h * (size_t)conv->w;
    size_t out = (size_t)conv->k * (size_t)conv->p * (size_t)conv->q;
    for (first = 0; first < conv->n; first += conv->images) {
        int count = conv->n - first < conv->images ? conv->n - first : conv->images;
        cnv_real *to = conv->pad ? conv->image : dx + (size_t)first * in;
        memset(to, 0, (size_t)count * padded * sizeof *to);
        CNV__PARALLEL_FOR((double)count * (double)out * conv->taps > CNV__SHARED_WORK)
        for (t = 0; t < threads; t++) {
            cnv_real *panel = conv->panel + (size_t)(t * CNV__DEPTH * cnv__use()->tile_columns);
            int item;
            for (item = t; item < count * parts; item += threads)
                cnv__conv_add_back(conv, item % parts, packed,
                                   dy + (size_t)(first + item / parts) * out,
                                   to + (size_t)(item / parts) * padded, panel);
        }
        if (conv->pad) cnv__conv_unpad(conv, dx + (size_t)first * in, count);
    }
}

static int cnv__conv2d_backward_data(const cnv_tensor *dy, const cnv_tensor *weight,
                                     const cnv_window *win, int groups, cnv_tensor *dx,
                                     cnv_workspace *ws, cnv_tensor *kept)
{
    cnv__conv conv;
    size_t size;
    int fresh = !kept || !kept->n, share;
    cnv_real *packed;
    if (!cnv__conv_sizes(&conv, dx, weight, win, groups)) return 0;
    if (!cnv__check_shape(dy, conv.n, conv.k, conv.p, conv.q, "the output's gradient")) return 0;
    if (cnv__conv_flips(win, conv.group_c))
        return cnv__conv2d_backward_flip(dy, weight, win, groups, dx, ws, kept);
    if (cnv__conv_patches(&conv))
        return cnv__conv2d_backward_patches(&conv, dy, weight, dx, ws, kept);
    share = cnv__conv_share(&conv);
    size = cnv__packed_size(groups * ((conv.group_c + share - 1) / share),
                            share * win->kernel_h * win->kernel_w, conv.group_k);
    if (!cnv__conv_memory(&conv, size, kept, ws)) return 0;
    packed = kept ? kept->data : conv.packed;
    if (fresh) cnv__conv_transpose_pack(&conv, weight->data, packed);
    cnv__conv_transpose_run(&conv, packed, dy->data, dx->data);
    cnv__conv_end(&conv);
    return 1;
}

CNVDEF int cnv_conv2d_backward_data(const cnv_tensor *dy, const cnv_tensor *weight,
                                    const cnv_window *win, int groups, cnv_tensor *dx,
                                    cnv_workspace *ws)
{
    return cnv__conv2d_backward_data(dy, weight, win, groups, dx, ws, NULL);
}

/* dbias[k] += sum over p, q and `count` images from `first` on of dy */
static void cnv__bias_backward(const cnv_tensor *dy, int first, int count, cnv_tensor *dbias)
{
    size_t area = (size_t)dy->h * (size_t)dy->w;
    int k;
    CNV__PARALLEL_FOR((size_t)count * (size_t)dy->c * area > 4 * CNV__BLOCK)
    for (k = 0; k < dy->c; k++) {
        int n;
        for (n = first; n < first + count; n++)
            dbias->data[k] += cnv__use()->total(area, cnv_tensor_channel(dy, n, k).data);
    }
}

/* For the weights' gradient the taps are the columns of a product. So that they are neighbours in
   memory, images are turned round to [h][w][c], channels last, where a row of a window is one run
   of kernel_w * c numbers; and dweight, for the time being, to [k][r][s][c]. */
static void cnv__last_sizes(cnv__conv *conv)
{
    size_t image = (size_t)conv->images * (size_t)conv->group_c * (size_t)conv->padded_h *
                   (size_t)conv->padded_w;
    conv->hands = 1;
    conv->pad = conv->padded_h != conv->h || conv->padded_w != conv->w;
    conv->work_size = image + ((size_t)conv->group_k + 1) * (size_t)conv->taps;
}

static void cnv__last_tables(cnv__conv *conv)
{
    const cnv_window *win = &conv->win;
    int row = conv->padded_w * conv->group_c, *tap = conv->tap, *pixel = conv->pixel, i, p, r, s;
    for (r = 0; r < win->kernel_h; r++)
        for (s = 0; s < win->kernel_w; s++)
            tap = cnv__count_by(tap, conv->group_c, r * win->dilation_h * row +
                                s * win->dilation_w * conv->group_c, 1);
    for (i = 0; i < conv->images; i++)
        for (p = 0; p < conv->p; p++)
            pixel = cnv__count_by(pixel, conv->q, (i * conv->padded_h + p * win->stride_h) * row,
                                  conv->q > 1 ? win->stride_w * conv->group_c : 0);
}

/* A group's channels of `count` padded images: [c][h*w] -> [h*w][c] */
static void cnv__last_image(const cnv__conv *conv, const cnv_real *image, int group, int count,
                            cnv_real *last)
{
    enum { STRETCH = 256 }; /* so many pixels at a time */
    int plane = conv->padded_h * conv->padded_w, channels = conv->group_c, along[STRETCH], i;
    int stretches = (plane + STRETCH - 1) / STRETCH;
    cnv__count_by(conv->w_row, channels, 0, plane);
    cnv__count_by(along, STRETCH, 0, 1);
    CNV__PARALLEL_FOR((double)count * channels * plane > CNV__BLOCK)
    for (i = 0; i < count * stretches; i++) {
        size_t whole = (size_t)(i / stretches), from = (size_t)(i % stretches * STRETCH);
        size_t c = whole * (size_t)conv->c + (size_t)(group * channels), area = (size_t)plane;
        int length = area - from < STRETCH ? (int)(area - from) : STRETCH;
        cnv__use()->pack(image + c * area + from, conv->w_row, channels, along, length, channels,
                         last + (whole * area + from) * (size_t)channels);
    }
}

/* dweight [k][c][r][s] += from [k][r][s][c], with room for one filter in `turned` */
static void cnv__last_add(const cnv__conv *conv, const cnv_real *from, cnv_real *turned,
                          cnv_real *dweight)
{
    int area = conv->win.kernel_h * conv->win.kernel_w, k;
    cnv__count_by(conv->tap, area, 0, conv->group_c);
    cnv__count_by(conv->w_col, conv->group_c, 0, 1);
    for (k = 0; k < conv->group_k; k++, from += conv->taps, dweight += conv->taps) {
        cnv__use()->pack(from, conv->tap, area, conv->w_col, conv->group_c, area, turned);
        cnv__use()->add((size_t)conv->taps, dweight, turned, dweight);
    }
}

/* Whether they are read there, not packed: unless too many lanes would stay empty at the ends of
   the runs, for each filter once. A vector may read beyond a run: after the last come tables. */
static int cnv__last_reads(const cnv__conv *conv)
{
    int run = conv->win.dilation_w > 1 ? conv->group_c : conv->group_c * conv->win.kernel_w;
    double empty = (double)(cnv__round_up(run, cnv__use()->width) - run) / run;
    return empty * conv->group_k <= 1.6 * cnv__use()->width;
}

/* The bias comes along with the first group: its part of dy is in the cache then. */
static void cnv__backward_weights_group(cnv__conv *conv, const cnv_real *x, const cnv_tensor *dy,
                                        int group, cnv_real *dweight, cnv_tensor *dbias)
{
    int area = conv->p * conv->q, first;
    size_t k0 = (size_t)group * (size_t)conv->group_k, taps = (size_t)conv->taps;
    cnv_real *sum = conv->work, *turned = sum + (size_t)conv->group_k * taps, *last = turned + taps;
    cnv__product g;
    cnv__last_tables(conv);
    cnv__count_by(conv->w_col, conv->taps, 0, 1);
    for (first = 0; first < conv->n; first += conv->images) {
        int count = conv->n - first < conv->images ? conv->n - first : conv->images;
        if (dbias && group == 0) cnv__bias_backward(dy, first, count, dbias);
        cnv__last_image(conv, cnv__conv_pad(conv, x, first, count), group, count, last);
        cnv__count_by(conv->w_row, conv->group_k, 0, conv->taps);
        cnv__pack_rows(dy->data + ((size_t)first * (size_t)conv->k + k0) * (size_t)area,
                       conv->y_row, conv->group_k, conv->y_col, count * area, conv->packed);
        g.m = conv->group_k, g.k = count * area, g.a = conv->packed;
        g.b = last, g.b_row = conv->pixel, g.b_col = conv->tap;
        g.c = sum, g.c_row = conv->w_row, g.c_col = conv->w_col;
        g.bias = NULL, g.add = first > 0, g.read_on = cnv__last_reads(conv), g.depth = CNV__DEPTH;
        cnv__run_product(&g, conv->taps, conv->panel);
    }
    cnv__last_add(conv, sum, turned, dweight + k0 * taps);
}

/* Where channels are few, as in first layers, the runs of kernel_w * c numbers hardly fill vectors.
   There the lanes lie along the rows of dy and of the images, and the sum is over these. A band of
   rows of a tile's filters is packed, a vector of each of them after the other, and multiplied with
   all taps. Rows of the images end with zeros up to a whole vector. */
static int cnv__weights_by_rows(const cnv__conv *conv)
{
    double wide = conv->padded_w + 16.0 * conv->hands;
    return conv->groups == 1 && conv->c <= 4 && conv->c * conv->win.kernel_w <= 32 &&
           wide * conv->padded_h * conv->c * conv->images < INT_MAX;
}

/* How many rows make a band; how many vectors make a row */
static int cnv__band_rows(const cnv__conv *conv)
{
    int rows = 1 + 1000 / conv->q;
    return rows < conv->p ? rows : conv->p;
}

static int cnv__row_vectors(const cnv__conv *conv)
{
    int width = cnv__use()->width;
    return cnv__round_up(conv->q, width) / width;
}

/* Packs so many rows of `filters` filters */
static void cnv__band_pack(const cnv__conv *conv, const cnv_real *dy, int filters, int rows,
                           cnv_real *panel)
{
    const cnv__kernels *kernels = cnv__use();
    int width = kernels->width, tile = kernels->tile_rows, y, x;
    if (filters < tile)
        memset(panel, 0, sizeof *panel * (size_t)(rows * cnv__row_vectors(conv) * tile * width));
    for (y = 0; y < rows; y++)
        for (x = 0; x < conv->q; x += width, panel += tile * width)
            kernels->pack(dy + y * conv->q + x, conv->y_col,
                          conv->q - x < width ? conv->q - x : width, conv->y_row, filters, width,
                          panel);
}

/* dweight [filters][taps] += the sums over a band: `panel` has its rows of dy, `pixels` is where
   the windows of the first of them begin */
static void cnv__band_taps(const cnv__conv *conv, const cnv_real *panel, const cnv_real *pixels,
                           int filters, int rows, cnv_real *dweight)
{
    const cnv__kernels *kernels = cnv__use();
    const int tile = kernels->tile_columns / kernels->width, taps = conv->taps;
    const cnv_real *b[CNV__MAX_TILE];
    cnv_real sums[CNV__MAX_TILE];
    int i, j, t;
    for (t = 0; t < taps; t += tile) {
        for (j = 0; j < tile; j++) /* behind the last tap comes the last again */
            b[j] = pixels + conv->tap[t + j < taps ? t + j : taps - 1];
        kernels->dots(panel, b, conv->pixel, rows * cnv__row_vectors(conv), sums);
        for (i = 0; i < filters; i++)
            for (j = 0; j < tile && t + j < taps; j++)
                dweight[i * taps + t + j] += sums[i * tile + j];
    }
}

/* A tile of filters from k on, over `count` images */
static void cnv__backward_weights_band(const cnv__conv *conv, const cnv_real *image,
                                       const cnv_real *dy, int k, int count, cnv_real *panel,
                                       cnv_real *dweight, cnv_real *dbias)
{
    const cnv__kernels *kernels = cnv__use();
    const int most = cnv__band_rows(conv);
    const int filters = conv->k - k < kernels->tile_rows ? conv->k - k : kernels->tile_rows;
    const size_t area = (size_t)conv->p * (size_t)conv->q;
    const size_t plane = (size_t)conv->padded_h * (size_t)conv->padded_w;
    int n, p, i;
    for (n = 0; n < count; n++)
        for (p = 0; p < conv->p; p += most) {
            int rows = conv->p - p < most ? conv->p - p : most;
            const cnv_real *slopes = dy + ((size_t)n * (size_t)conv->k + (size_t)k) * area +
                                     p * conv->q;
            const cnv_real *pixels = image + (size_t)n * (size_t)conv->c * plane +
                                     p * conv->win.stride_h * conv->padded_w;
            cnv__band_pack(conv, slopes, filters, rows, panel);
            cnv__band_taps(conv, panel, pixels, filters, rows, dweight + k * conv->taps);
            for (i = 0; dbias && i < filters; i++)
                dbias[k + i] += kernels->total((size_t)(rows * conv->q), slopes + (size_t)i * area);
        }
}

static int cnv__backward_weights_rows(cnv__conv *conv, const cnv_tensor *x, const cnv_tensor *dy,
                                      cnv_tensor *dweight, cnv_tensor *dbias, cnv_workspace *ws)
{
    int filters = cnv__use()->tile_rows, width = cnv__use()->width, first, t, y, i = 0;
    int vectors = cnv__band_rows(conv) * cnv__row_vectors(conv), threads = cnv__threads();
    size_t panel = (size_t)(vectors * filters * width);
    conv->pad = 1;
    conv->padded_w += conv->hands * (cnv__row_vectors(conv) * width - conv->q);
    conv->work_size = panel * (size_t)threads;
    if (!cnv__conv_memory(conv, 0, NULL, ws)) return 0;
    for (y = 0; y < cnv__band_rows(conv); y++)
        for (t = 0; t < cnv__row_vectors(conv); t++)
            conv->pixel[i++] = y * conv->win.stride_h * conv->padded_w + t * width;
    for (first = 0; first < conv->n; first += conv->images) {
        int count = conv->n - first < conv->images ? conv->n - first : conv->images;
        const cnv_real *image = cnv__conv_pad(conv, x->data, first, count);
        CNV__PARALLEL_FOR((double)count * conv->p * conv->q * conv->k * conv->taps >
                          CNV__SHARED_WORK)
        for (t = 0; t < threads; t++) {
            int k;
            for (k = t * filters; k < conv->k; k += threads * filters)
                cnv__backward_weights_band(conv, image, cnv_tensor_image(dy, first).data, k, count,
                                           conv->work + (size_t)t * panel, dweight->data,
                                           dbias ? dbias->data : NULL);
        }
    }
    cnv__conv_end(conv);
    return 1;
}

/* Winograd's way to the weights' gradient, see 5.2. A few rows of tiles at a time are turned round
   to channels last, with zeros to whole tiles; they are taken into the other basis, one of its 6
   rows at a time, so that it stays in the cache, and added to its 36 products. Threads share out
   these rows, each for a part of the filters. */
typedef struct {
    cnv__conv *conv;
    int size, out;                   /* of a filter, 3 or 5; of a tile of dy: 7 - size */
    int across, down, rows;          /* tiles in a row; rows of tiles in an image, at a time */
    int width, reach;                /* columns of a row of tiles: of dy, of x */
    int filters, share;              /* multiples of tile_rows: all, and those of a part */
    int threads, parts;              /* which share the 6 rows of the basis, for each part */
    size_t v_step, z_step, m_step;   /* from one of the matrices to the next */
    cnv_real *x, *dy;                /* [row of tiles][6 or out][reach or width][channel] */
    cnv_real *work;                  /* of a thread: [6][tile][c], [6] panels [tile][tile_rows] */
    cnv_real *m;                     /* [36][k][c] */
    cnv_real *sum;                   /* [k][r][s][c], and room for one filter */
} cnv__winograd_weights;

/* Whether it is faster: tiles must be enough, and mostly full. */
static int cnv__winograd_weights_win(const cnv__conv *conv)
{
    double area = (double)conv->p * conv->q, tiles;
    int out = 7 - conv->win.kernel_h;
    if (!cnv__winograd_fits(conv)) return 0;
    tiles = (double)((conv->p + out - 1) / out) * ((conv->q + out - 1) / out);
    return conv->c * (double)conv->k >= 2 * CNV__WORTH &&
           area >= 0.5 * out * out * tiles && conv->n * tiles >= 32 &&
           36.0 * conv->c * conv->k < INT_MAX &&
           24.0 * (conv->q + 4 * CNV__TILES) * (conv->c + conv->k + CNV__FILTERS) < INT_MAX;
}

static int cnv__winograd_weights_memory(cnv__winograd_weights *w, cnv__conv *conv,
                                        cnv_workspace *ws)
{
    const size_t line = 16;
    size_t c = (size_t)conv->c, k = (size_t)conv->k, x, dy, tiles, filters;
    int most = cnv__winograd_large(conv) ? 2 * CNV__TILES : CNV__TILES;
    w->conv = conv, w->size = conv->win.kernel_h, w->out = 7 - w->size;
    w->across = cnv__round_up(conv->q, w->out) / w->out;
    w->down = cnv__round_up(conv->p, w->out) / w->out;
    w->width = w->out * w->across, w->reach = w->width + w->size - 1;
    w->rows = most > w->across ? most / w->across : 1;
    if (w->rows > conv->n * w->down) w->rows = conv->n * w->down;
    w->filters = cnv__round_up(conv->k, cnv__use()->tile_rows), filters = (size_t)w->filters;
    tiles = (size_t)w->rows * (size_t)w->across;
    w->threads = 36.0 * (double)tiles * conv->c * conv->k < CNV__SHARED_WORK ? 1 : cnv__threads();
    for (w->parts = 1; 6 * w->parts % w->threads; w->parts++) continue;
    w->share = cnv__round_up((w->filters + w->parts - 1) / w->parts, cnv__use()->tile_rows);
    x = (size_t)(w->rows * 6 * w->reach) * c + line;
    dy = (size_t)(w->out * w->out) * tiles * k + line;
    w->v_step = tiles * c + line, w->z_step = tiles * (size_t)w->share + line;
    w->m_step = filters * c + line;
    conv->pad = 0;
    conv->work_size = 6 * (w->v_step + w->z_step) * (size_t)w->threads + 36 * w->m_step + x + dy +
                      (size_t)conv->taps * (k + 1);
    if (!cnv__conv_memory(conv, 0, NULL, ws)) return 0;
    w->work = conv->work, w->m = w->work + 6 * (w->v_step + w->z_step) * (size_t)w->threads;
    w->x = w->m + 36 * w->m_step, w->dy = w->x + x, w->sum = w->dy + dy;
    cnv__count_by(conv->tap, conv->c, 0, conv->h * conv->w); /* x's and dy's channels and pixels */
    cnv__count_by(conv->y_row, conv->k, 0, conv->p * conv->q);
    cnv__count_by(conv->y_col, conv->w < conv->q ? conv->q : conv->w, 0, 1);
    cnv__count_by(conv->w_col, conv->c, 0, 1); /* the products' tables: columns of v and m, rows */
    cnv__count_by(conv->w_row, w->filters, 0, conv->c);
    cnv__count_by(conv->pixel, (int)tiles, 0, conv->c);
    return 1;
}

/* `count` rows of tiles, numbered through all images, from `first` on */
static void cnv__winograd_weights_read(const cnv__winograd_weights *w, const cnv_real *x,
                                       const cnv_real *dy, int first, int count)
{
    const cnv__conv *conv = w->conv;
    int i, lines = 6 + w->out; /* of x and dy, for a row of tiles */
    size_t image = (size_t)conv->c * (size_t)(conv->h * conv->w);
    size_t output = (size_t)conv->k * (size_t)(conv->p * conv->q);
    CNV__PARALLEL_FOR(6.0 * count * w->width * (conv->c + conv->k) > CNV__BLOCK)
    for (i = 0; i < count * lines; i++) {
        int row = first + i / lines, top = row % w->down * w->out, y = i % lines;
        size_t n = (size_t)(row / w->down);
        if (y < 6)
            cnv__last_line(x + n * image, conv->tap, conv->c, conv->h, conv->w, conv->y_col,
                           top + y - conv->win.pad_top, conv->win.pad_left, w->reach,
                           w->x + (i / lines * 6 + y) * w->reach * conv->c);
        else
            cnv__last_line(dy + n * output, conv->y_row, conv->k, conv->p, conv->q, conv->y_col,
                           top + y - 6, 0, w->width,
                           w->dy + (i / lines * w->out + y - 6) * w->width * conv->k);
    }
}

/* Row i of the basis, for one part of the filters: so many tiles are taken into it, and
   m (+)= z v for the 6 places of that row. v and z in `memory` */
static void cnv__winograd_weights_row(const cnv__winograd_weights *w, int i, int part, int tiles,
                                      int add, cnv_real *memory, cnv_real *panel)
{
    const cnv__kernels *kernels = cnv__use();
    const cnv__conv *conv = w->conv;
    int c = conv->c, k = conv->k, rows = kernels->tile_rows, k0 = part * w->share, t, j, lane;
    int share = w->filters - k0 < w->share ? w->filters - k0 : w->share;
    cnv_real *v = memory, *z = memory + 6 * w->v_step;
    const cnv__basis of_x = {CNV__BT, w->size, i, i + 1, c, (size_t)(w->reach * c), (size_t)c, 0,
                             w->v_step};
    const cnv__basis of_dy = {CNV__A, w->size, i, i + 1, rows, (size_t)(w->width * k), (size_t)k, 0,
                              w->z_step};
    cnv__product g;
    if (share <= 0) return; /* more parts than panels */
    for (t = 0; t < tiles; t++) {
        int down = t / w->across, left = t % w->across * w->out;
        const cnv_real *dy = w->dy + (down * w->out * w->width + left) * k + k0;
        kernels->winograd_rows(&of_x, w->x + (down * 6 * w->reach + left) * c, v + t * c);
        for (lane = 0; lane < share; lane += rows)
            kernels->winograd_rows(&of_dy, dy + lane, z + lane * tiles + t * rows);
    }
    g.m = share, g.k = tiles, g.b_row = conv->pixel, g.b_col = g.c_col = conv->w_col;
    g.c_row = conv->w_row + k0, g.bias = NULL, g.add = add, g.read_on = 1, g.depth = CNV__DEPTH;
    for (j = 0; j < 6; j++) {
        g.a = z + (size_t)j * w->z_step, g.b = v + (size_t)j * w->v_step;
        g.c = w->m + (size_t)(6 * i + j) * w->m_step;
        kernels->product(&g, 0, c, panel);
    }
}

/* All of that for so many tiles; each thread takes its share of rows and parts. */
static void cnv__winograd_weights_add(const cnv__winograd_weights *w, int tiles, int add)
{
    int panel = CNV__DEPTH * cnv__use()->tile_columns, t;
    CNV__PARALLEL_FOR(w->threads > 1)
    for (t = 0; t < w->threads; t++) {
        int item;
        for (item = t; item < 6 * w->parts; item += w->threads)
            cnv__winograd_weights_row(w, item % 6, item / 6, tiles, add,
                                      w->work + (size_t)t * 6 * (w->v_step + w->z_step),
                                      w->conv->panel + t * panel);
    }
}

static int cnv__backward_weights_winograd(cnv__conv *conv, const cnv_tensor *x,
                                          const cnv_tensor *dy, cnv_tensor *dweight,
                                          cnv_workspace *ws)
{
    cnv__winograd_weights w;
    cnv__basis basis = {CNV__GT, 0, 0, 0, conv->c, 0, 0, 0, (size_t)conv->c};
    int first, count, i, total;
    if (!cnv__winograd_weights_memory(&w, conv, ws)) return 0;
    basis.size = basis.last = w.size, basis.x_row = 6 * w.m_step, basis.x_column = w.m_step;
    basis.y_row = (size_t)(w.size * conv->c);
    total = conv->n * w.down;
    for (first = 0; first < total; first += count) {
        count = total - first < w.rows ? total - first : w.rows;
        cnv__winograd_weights_read(&w, x->data, dy->data, first, count);
        cnv__winograd_weights_add(&w, count * w.across, first > 0);
    }
    CNV__PARALLEL_FOR(36.0 * conv->k * conv->c > CNV__BLOCK)
    for (i = 0; i < conv->k; i++)
        cnv__use()->winograd_rows(&basis, w.m + i * conv->c, w.sum + i * conv->taps);
    cnv__last_add(conv, w.sum, w.sum + conv->k * conv->taps, dweight->data);
    cnv__conv_end(conv);
    return 1;
}

CNVDEF int cnv_conv2d_backward_weights(const cnv_tensor *x, const cnv_tensor *dy,
                                       const cnv_window *win, int groups, cnv_tensor *dweight,
                                       cnv_tensor *dbias, cnv_workspace *ws)
{
    cnv__conv conv;
    int group;
    if (!cnv__conv_sizes(&conv, x, dweight, win, groups)) return 0;
    if (!cnv__check_shape(dy, conv.n, conv.k, conv.p, conv.q, "the output's gradient")) return 0;
    if (dbias && cnv_tensor_size(dbias) != (size_t)conv.k)
        return cnv__fail("%d filters cannot have %.0f biases", conv.k,
                         (double)cnv_tensor_size(dbias));
    if (cnv__winograd_weights_win(&conv)) {
        if (dbias) cnv__bias_backward(dy, 0, conv.n, dbias);
        return cnv__backward_weights_winograd(&conv, x, dy, dweight, ws);
    }
    if (cnv__weights_by_rows(&conv))
        return cnv__backward_weights_rows(&conv, x, dy, dweight, dbias, ws);
    cnv__last_sizes(&conv);
    if (!cnv__conv_memory(&conv, cnv__packed_size(1, conv.group_k, conv.images * conv.p * conv.q),
                          NULL, ws))
        return 0;
    for (group = 0; group < groups; group++)
        cnv__backward_weights_group(&conv, x->data, dy, group, dweight->data, dbias);
    cnv__conv_end(&conv);
    return 1;
}

/* cols[n, (c,r,s), p, q] = x[n, c, p*stride - pad + r*dilation, q*stride - pad + s*dilation] */
static void cnv__im2col_plane(const cnv_tensor *x, const cnv_window *win, int back,
                              const cnv_tensor *cols, int n, int row)
{
    int area = win->kernel_h * win->kernel_w, p, q;
    int r = row % area / win->kernel_w, s = row % area % win->kernel_w;
    cnv_real *plane = cnv_tensor_channel(x, n, row / area).data;
    cnv_real *col = cnv_tensor_channel(cols, n, row).data;
    for (p = 0; p < cols->h; p++)
        for (q = 0; q < cols->w; q++, col++) {
            int y = p * win->stride_h - win->pad_top + r * win->dilation_h;
            int z = q * win->stride_w - win->pad_left + s * win->dilation_w;
            int inside = y >= 0 && y < x->h && z >= 0 && z < x->w;
            if (back && inside) plane[y * x->w + z] += *col;
            else if (!back) *col = inside ? plane[y * x->w + z] : 0;
        }
}

CNVDEF int cnv_im2col(const cnv_tensor *x, const cnv_window *win, cnv_tensor *cols)
{
    int p, q, n, row;
    double rows = (double)x->c * win->kernel_h * win->kernel_w;
    if (!cnv_window_output(win, x->h, x->w, &p, &q)) return 0;
    if (rows > INT_MAX) return cnv__fail("im2col would have %.0f rows", rows);
    if (!cnv_tensor_resize(cols, x->n, (int)rows, p, q)) return 0;
    for (n = 0; n < cols->n; n++)
        for (row = 0; row < cols->c; row++) cnv__im2col_plane(x, win, 0, cols, n, row);
    return 1;
}

CNVDEF int cnv_col2im(const cnv_tensor *cols, const cnv_window *win, cnv_tensor *x)
{
    int p, q, n, row;
    if (!cnv_window_output(win, x->h, x->w, &p, &q)) return 0;
    if (cols->n != x->n || cols->h != p || cols->w != q ||
        (double)cols->c != (double)x->c * win->kernel_h * win->kernel_w)
        return cnv__fail("columns of %d x %d x %d x %d do not belong to an image of %d x %d x %d",
                         cols->n, cols->c, cols->h, cols->w, x->c, x->h, x->w);
    cnv_tensor_fill(x, 0);
    for (n = 0; n < cols->n; n++)
        for (row = 0; row < cols->c; row++) cnv__im2col_plane(x, win, 1, cols, n, row);
    return 1;
}

/* ---- 7.2 Linear layers ---- */

/* C (+)= A B as one product, where A(i,d) = a[i*a_row + d*a_col] and B, C alike. */
typedef struct {
    int m, n, k, a_row, a_col, b_row, b_col, c_row, c_col, add;
} cnv__matrices;

static int cnv__multiply_matrices(const cnv__matrices *g, const cnv_real *a, const cnv_real *b,
                                  cnv_real *c, cnv_workspace *ws)
{
    size_t packed = cnv__packed_size(1, g->m, g->k), ints = 2 * (size_t)(g->m + g->n + g->k);
    size_t panel = (size_t)cnv__threads() * CNV__DEPTH * (size_t)cnv__use()->tile_columns;
    cnv_workspace own = {NULL, 0};
    cnv__product product;
    cnv_real *real;
    int *table, *a_row, *a_col, *b_row, *b_col, *c_row, *c_col;
    if (!ws) ws = &own;
    real = (cnv_real *)cnv__workspace_bytes(ws, (packed + panel) * sizeof(cnv_real) +
                                                ints * sizeof(int));
    if (!real) return 0;
    table = (int *)(void *)(real + packed + panel);
    a_row = table, a_col = a_row + g->m, b_row = a_col + g->k, b_col = b_row + g->k;
    c_row = b_col + g->n, c_col = c_row + g->m;
    cnv__count_by(a_row, g->m, 0, g->a_row), cnv__count_by(a_col, g->k, 0, g->a_col);
    cnv__count_by(b_row, g->k, 0, g->b_row), cnv__count_by(b_col, g->n, 0, g->b_col);
    cnv__count_by(c_row, g->m, 0, g->c_row), cnv__count_by(c_col, g->n, 0, g->c_col);
    cnv__pack_rows(a, a_row, g->m, a_col, g->k, real);
    product.m = g->m, product.k = g->k, product.a = real, product.b = b, product.c = c;
    product.b_row = b_row, product.b_col = b_col, product.c_row = c_row, product.c_col = c_col;
    product.bias = NULL, product.add = g->add, product.read_on = 0;
    cnv__run_product(&product, g->n, real + packed);
    cnv_workspace_free(&own);
    return 1;
}

/* Checks the shapes of a linear layer; *in and *out are its sizes. */
static int cnv__linear_sizes(const cnv_tensor *x, const cnv_tensor *weight, int *in, int *out)
{
    double inputs = (double)x->c * x->h * x->w;
    double columns = (double)weight->c * weight->h * weight->w;
    if (inputs != columns)
        return cnv__fail("expects %.0f inputs, got %.0f (%d x %d x %d)", columns, inputs, x->c,
                         x->h, x->w);
    if (columns * weight->n > INT_MAX || inputs * x->n > INT_MAX ||
        (double)x->n * weight->n > INT_MAX)
        return cnv__fail("a linear layer of %.0f x %d is too large", columns, weight->n);
    *in = (int)inputs, *out = weight->n;
    return 1;
}

CNVDEF int cnv_linear_forward(const cnv_tensor *x, const cnv_tensor *weight, const cnv_tensor *bias,
                              cnv_tensor *y, cnv_workspace *ws)
{
    int in = 0, out = 0, n, o;
    if (!cnv__linear_sizes(x, weight, &in, &out)) return 0;
    if (bias && cnv_tensor_size(bias) != (size_t)out)
        return cnv__fail("%d outputs cannot have %.0f biases", out,
                         (double)cnv_tensor_size(bias));
    if (!cnv_tensor_resize(y, x->n, out, 1, 1)) return 0;
    if (x->n < 4) { /* each weight is used so few times that reading it is all the work */
        CNV__PARALLEL_FOR((size_t)in * (size_t)out > CNV__BLOCK)
        for (o = 0; o < out; o++) {
            int i;
            for (i = 0; i < x->n; i++)
                y->data[i * out + o] = cnv__use()->dot((size_t)in, x->data + i * in,
                                                       weight->data + (size_t)o * (size_t)in);
        }
    } else {
        cnv__matrices g = {x->n, out, in, in, 1, 1, in, out, 1, 0};
        if (!cnv__multiply_matrices(&g, x->data, weight->data, y->data, ws)) return 0;
    }
    for (n = 0; bias && n < x->n; n++)
        cnv__use()->add((size_t)out, y->data + n * out, bias->data, y->data + n * out);
    return 1;
}

CNVDEF int cnv_linear_backward_data(const cnv_tensor *dy, const cnv_tensor *weight, cnv_tensor *dx,
                                    cnv_workspace *ws)
{
    int in = 0, out = 0, part, share, threads = cnv__threads();
    if (!cnv__linear_sizes(dx, weight, &in, &out)) return 0;
    if (!cnv__check_shape(dy, dx->n, out, 1, 1, "the output's gradient")) return 0;
    if (dx->n >= 4) {
        cnv__matrices g = {dx->n, in, out, out, 1, in, 1, in, 1, 0};
        return cnv__multiply_matrices(&g, dy->data, weight->data, dx->data, ws);
    }
    cnv_tensor_fill(dx, 0);
    share = in / threads + 1; /* of the inputs; rows of weights are read once */
    CNV__PARALLEL_FOR((size_t)in * (size_t)out > CNV__BLOCK)
    for (part = 0; part < threads; part++) {
        long long first = (long long)part * share, rest = in - first;
        int o, n;
        for (o = 0; o < (rest > 0 ? out : 0); o++)
            for (n = 0; n < dx->n; n++) {
                cnv_real slope = dy->data[n * out + o];
                if (slope != 0)
                    cnv__use()->add_scaled((size_t)(rest < share ? rest : share), slope,
                                           weight->data + (size_t)o * (size_t)in + first,
                                           dx->data + (size_t)n * (size_t)in + first);
            }
    }
    return 1;
}

CNVDEF int cnv_linear_backward_weights(const cnv_tensor *x, const cnv_tensor *dy,
                                       cnv_tensor *dweight, cnv_tensor *dbias, cnv_workspace *ws)
{
    int in = 0, out = 0;
    if (!cnv__linear_sizes(x, dweight, &in, &out)) return 0;
    if (!cnv__check_shape(dy, x->n, out, 1, 1, "the output's gradient")) return 0;
    if (dbias && cnv_tensor_size(dbias) != (size_t)out)
        return cnv__fail("%d outputs cannot have %.0f biases", out,
                         (double)cnv_tensor_size(dbias));
    {
        cnv__matrices g = {out, in, x->n, 1, out, in, 1, in, 1, 1};
        if (!cnv__multiply_matrices(&g, dy->data, x->data, dweight->data, ws)) return 0;
    }
    if (dbias) cnv__bias_backward(dy, 0, dy->n, dbias);
    return 1;
}

/* ---- 7.3 Activation functions ---- */

CNVDEF int cnv_relu_forward(const cnv_tensor *x, cnv_tensor *y)
{
    size_t n = cnv_tensor_size(x);
    int i, blocks = cnv__blocks(n);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(blocks > 1)
    for (i = 0; i < blocks; i++) {
        size_t count, start = cnv__block(n, i, &count);
        cnv__use()->relu_forward(count, x->data + start, y->data + start);
    }
    return 1;
}

CNVDEF int cnv_relu_backward(cnv_relu_rule rule, const cnv_tensor *x, const cnv_tensor *dy,
                             cnv_tensor *dx)
{
    size_t n = cnv_tensor_size(x);
    int i, blocks = cnv__blocks(n);
    if (!cnv__check_same(x, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(blocks > 1)
    for (i = 0; i < blocks; i++) {
        size_t count, start = cnv__block(n, i, &count);
        cnv__use()->relu_backward(rule, count, x->data + start, dy->data + start, dx->data + start);
    }
    return 1;
}

CNVDEF int cnv_sigmoid_forward(const cnv_tensor *x, cnv_tensor *y)
{
    size_t i, n = cnv_tensor_size(x);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    for (i = 0; i < n; i++) y->data[i] = (cnv_real)(1 / (1 + exp(-(double)x->data[i])));
    return 1;
}

CNVDEF int cnv_sigmoid_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx)
{
    size_t i, n = cnv_tensor_size(y);
    if (!cnv__check_same(y, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, y->n, y->c, y->h, y->w)) return 0;
    for (i = 0; i < n; i++) dx->data[i] = dy->data[i] * y->data[i] * (1 - y->data[i]);
    return 1;
}

CNVDEF int cnv_tanh_forward(const cnv_tensor *x, cnv_tensor *y)
{
    size_t i, n = cnv_tensor_size(x);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    for (i = 0; i < n; i++) y->data[i] = (cnv_real)tanh((double)x->data[i]);
    return 1;
}

CNVDEF int cnv_tanh_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx)
{
    size_t i, n = cnv_tensor_size(y);
    if (!cnv__check_same(y, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, y->n, y->c, y->h, y->w)) return 0;
    for (i = 0; i < n; i++) dx->data[i] = dy->data[i] * (1 - y->data[i] * y->data[i]);
    return 1;
}

/* ---- 7.4 Pooling ---- */

/* Means are found by spans: the windows of a row that lie on the image from left to right are one
   span, the others one each. This one starts in column q. */
static cnv__span cnv__span_from(const cnv_window *win, int padding, const cnv_tensor *x,
                                const cnv_tensor *y, int q)
{
    int left = q * win->stride_w - win->pad_left;
    int room = x->w - left - (win->kernel_w - 1) * win->dilation_w, s0, s1;
    cnv__span a;
    a.win = win, a.h = x->h, a.w = x->w, a.p = y->h, a.q = y->w;
    a.first = q, a.n = left >= 0 && room > 0 ? (room + win->stride_w - 1) / win->stride_w : 1;
    if (a.n > y->w - q) a.n = y->w - q;
    cnv__clip(left, win->kernel_w, win->dilation_w, x->w, &s0, &s1);
    a.left = left + s0 * win->dilation_w, a.columns = s1 - s0;
    a.down = win->dilation_h * x->w, a.right = win->dilation_w, a.step = win->stride_w;
    a.readable = x->h * x->w, a.padding = padding;
    a.share = cnv__share(left, win->kernel_w, win->dilation_w, x->w, padding ? win->pad_left : 0,
                         padding ? win->pad_right : 0);
    return a;
}

/* Checks the window; all offsets in a plane, and a vector's steps beyond, must be ints. */
static int cnv__pool_output(const cnv_tensor *x, const cnv_window *win, int *p, int *q)
{
    double rows = (double)x->h + win->pad_top + win->pad_bottom + win->dilation_h;
    double columns = (double)x->w + win->pad_left + win->pad_right + win->dilation_w;
    if (!cnv_window_output(win, x->h, x->w, p, q)) return 0;
    if (rows * (columns + 16.0 * win->stride_w) <= INT_MAX) return 1;
    return cnv__fail("a plane of %d x %d with this window is too large to be pooled", x->h, x->w);
}

/* Fails where a cnv_real cannot name each pixel of a plane. */
static int cnv__pool_names(const cnv_tensor *x)
{
    if ((double)x->h * x->w <= 1 << 24) return 1;
    return cnv__fail("a plane of %d x %d is too large for switches", x->h, x->w);
}

/* Checks that y, of this name, has the shape that pooling x's shape by this window gives. */
static int cnv__pool_sizes(const cnv_tensor *y, const cnv_window *win, const cnv_tensor *x,
                           const char *name)
{
    int p, q;
    if (!cnv__pool_output(x, win, &p, &q)) return 0;
    return cnv__check_shape(y, x->n, x->c, p, q, name);
}

/* Of one plane x [H,W], window by window: the greatest tap, or 0, to y [P,Q]; or its place, or -1,
   to switches. One of these is NULL. */
static void cnv__max_by_definition(const cnv__band *b, cnv_real *y, cnv_real *switches)
{
    const cnv_window *win = b->win;
    int p, q, r, s, r0, r1, s0, s1;
    for (p = 0; p < b->p; p++)
        for (q = 0; q < b->q; q++) {
            int top = p * win->stride_h - win->pad_top, left = q * win->stride_w - win->pad_left;
            const cnv_real *best = NULL;
            cnv__clip(top, win->kernel_h, win->dilation_h, b->h, &r0, &r1);
            cnv__clip(left, win->kernel_w, win->dilation_w, b->w, &s0, &s1);
            for (r = r0; r < r1; r++)
                for (s = s0; s < s1; s++) {
                    const cnv_real *tap = b->x + (top + r * win->dilation_h) * b->w + left +
                                          s * win->dilation_w;
                    if (!best || (!(*tap <= *best) && *best == *best)) best = tap;
                }
            if (y) *y++ = best ? *best : 0;
            else *switches++ = best ? (cnv_real)(best - b->x) : -1;
        }
}

/* Whether some windows hold nothing but padding. */
static int cnv__empty_windows(const cnv_window *win, const cnv_tensor *x, const cnv_tensor *y)
{
    int p, q, first, last, empty = 0;
    for (p = 0; p < y->h; p++) {
        cnv__clip(p * win->stride_h - win->pad_top, win->kernel_h, win->dilation_h, x->h, &first,
                  &last);
        empty |= first == last;
    }
    for (q = 0; q < y->w; q++) {
        cnv__clip(q * win->stride_w - win->pad_left, win->kernel_w, win->dilation_w, x->w, &first,
                  &last);
        empty |= first == last;
    }
    return empty;
}

/* Plane i of all: y, if switches is NULL; else the switches, from x and y. */
static void cnv__max_plane(const cnv_window *win, int empty, const cnv_tensor *x,
                           const cnv_tensor *y, int i, cnv_real *switches)
{
    size_t in = (size_t)x->h * (size_t)x->w, out = (size_t)y->h * (size_t)y->w * (size_t)i;
    int strip, band, odd = empty;
    cnv__band b;
    b.win = win, b.h = x->h, b.w = x->w, b.p = y->h, b.q = y->w;
    b.reach_h = (win->kernel_h - 1) * win->dilation_h + 1;
    b.reach_w = (win->kernel_w - 1) * win->dilation_w + 1;
    b.x = x->data + in * (size_t)i, b.end = x->data + cnv_tensor_size(x);
    strip = (CNV__LINE - 16 - b.reach_w) / win->stride_w - 15;
    odd |= strip < 1;
    for (b.first_q = 0; !odd && b.first_q < y->w; b.first_q += strip) {
        cnv__band_columns(&b, b.first_q, y->w - b.first_q < strip ? y->w - b.first_q : strip);
        band = CNV__BAND / b.length - b.reach_h;
        odd = band < 0, band = band / win->stride_h + 1;
        for (b.first_p = 0; !odd && b.first_p < y->h; b.first_p += band) {
            b.rows = y->h - b.first_p < band ? y->h - b.first_p : band;
            if (switches) cnv__band_copy(&b);
            odd = switches ? cnv__use()->switch_band(&b, y->data + out, switches + out)
                           : cnv__use()->max_band(&b, y->data + out);
        }
    }
    if (odd) cnv__max_by_definition(&b, switches ? NULL : y->data + out,
                                    switches ? switches + out : NULL);
}

/* What to do with a span in a plane of x and y, or of their gradients */
typedef void cnv__span_visit(const cnv__span *a, cnv_real *x, cnv_real *y);

static void cnv__mean_forward(const cnv__span *a, cnv_real *x, cnv_real *y)
{
    cnv__use()->mean_span(a, 0, a->p, x, y);
}

static void cnv__mean_backward(const cnv__span *a, cnv_real *dx, cnv_real *dy)
{
    cnv__use()->mean_span_backward(a, dy, dx);
}

/* Visits all spans of all planes of x [N,C,H,W] and y [N,C,P,Q], whole windows first. */
static void cnv__pool(cnv__span_visit *visit, const cnv_window *win, int padding,
                      const cnv_tensor *x, const cnv_tensor *y)
{
    size_t in = (size_t)x->h * (size_t)x->w, out = (size_t)y->h * (size_t)y->w;
    size_t more = 16 * (size_t)win->stride_w;
    int i, planes = x->n * x->c, first = (win->pad_left + win->stride_w - 1) / win->stride_w;
    cnv__span a = cnv__span_from(win, padding, x, y, first < y->w ? first : 0);
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < planes; i++) {
        cnv_real *from = x->data + (size_t)i * in, *to = y->data + (size_t)i * out;
        cnv__span whole = a, side;
        int q;
        if (i < planes - 1) whole.readable += in < more ? (int)in : (int)more;
        visit(&whole, from, to);
        for (q = 0; q < y->w; q++) {
            if (q == a.first) q += a.n;
            if (q >= y->w) break;
            side = cnv__span_from(win, padding, x, y, q);
            visit(&side, from, to);
        }
    }
}

CNVDEF int cnv_max_pool_forward(const cnv_tensor *x, const cnv_window *win, cnv_tensor *y)
{
    int p, q, i, empty, planes = x->n * x->c;
    if (!cnv__pool_output(x, win, &p, &q)) return 0;
    if (!cnv_tensor_resize(y, x->n, x->c, p, q)) return 0;
    empty = cnv__empty_windows(win, x, y);
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < planes; i++) cnv__max_plane(win, empty, x, y, i, NULL);
    return 1;
}

CNVDEF int cnv_max_pool_switches(const cnv_tensor *x, const cnv_window *win, const cnv_tensor *y,
                                 cnv_tensor *switches)
{
    int i, empty, planes = x->n * x->c;
    if (!cnv__pool_names(x) || !cnv__pool_sizes(y, win, x, "the output")) return 0;
    if (!cnv_tensor_resize(switches, y->n, y->c, y->h, y->w)) return 0;
    empty = cnv__empty_windows(win, x, y);
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < planes; i++) cnv__max_plane(win, empty, x, y, i, switches->data);
    return 1;
}

/* One plane, whatever the windows. */
static void cnv__unpool(const cnv_real *dy, const cnv_real *switches, size_t out, cnv_real *dx,
                        size_t in)
{
    size_t i;
    memset(dx, 0, in * sizeof *dx);
    for (i = 0; i < out; i++)
        if (switches[i] >= 0 && switches[i] < (cnv_real)in) dx[(int)switches[i]] += dy[i];
}

CNVDEF int cnv_max_pool_backward(const cnv_tensor *dy, const cnv_tensor *switches,
                                 const cnv_window *win, cnv_tensor *dx)
{
    cnv_window two = cnv_square(2, 2, 0), same = *win;
    size_t in = (size_t)dx->h * (size_t)dx->w, out = (size_t)dy->h * (size_t)dy->w;
    int i, pairs, planes = dx->n * dx->c;
    if (!cnv__pool_names(dx) || !cnv__pool_sizes(dy, win, dx, "the output's gradient")) return 0;
    if (!cnv__check_same(dy, switches, "the switches")) return 0;
    same.ceil_mode = 0;
    pairs = !memcmp(&same, &two, sizeof two);
    CNV__PARALLEL_FOR(cnv_tensor_size(dx) > CNV__BLOCK)
    for (i = 0; i < planes; i++) {
        const cnv_real *from = dy->data + (size_t)i * out, *at = switches->data + (size_t)i * out;
        cnv_real *to = dx->data + (size_t)i * in;
        if (pairs) cnv__use()->unpool_pairs(from, at, dy->h, dy->w, to, dx->h, dx->w);
        else cnv__unpool(from, at, out, to, in);
    }
    return 1;
}

CNVDEF int cnv_avg_pool_forward(const cnv_tensor *x, const cnv_window *win, int count_padding,
                                cnv_tensor *y)
{
    int p, q;
    if (!cnv__pool_output(x, win, &p, &q)) return 0;
    if (!cnv_tensor_resize(y, x->n, x->c, p, q)) return 0;
    cnv__pool(cnv__mean_forward, win, count_padding, x, y);
    return 1;
}

CNVDEF int cnv_avg_pool_backward(const cnv_tensor *dy, const cnv_window *win, int count_padding,
                                 cnv_tensor *dx)
{
    if (!cnv__pool_sizes(dy, win, dx, "the output's gradient")) return 0;
    memset(dx->data, 0, cnv_tensor_size(dx) * sizeof *dx->data);
    cnv__pool(cnv__mean_backward, win, count_padding, dx, dy);
    return 1;
}

/* The rows floor(p*size/bins) <= r < ceil((p+1)*size/bins) of bin p. */
static void cnv__bin(int p, int bins, int size, int *r0, int *r1)
{
    *r0 = (int)((long long)p * size / bins);
    *r1 = (int)(((long long)(p + 1) * size + bins - 1) / bins);
}

/* One plane, either way: y[p][q] = mean of its bin of x, or x += y / area over the bin. */
static void cnv__adaptive_plane(cnv_real *x, int h, int w, int back, cnv_real *y, int p_count,
                                int q_count)
{
    int p, q, r, s, r0, r1, s0, s1;
    for (p = 0; p < p_count; p++) {
        cnv__bin(p, p_count, h, &r0, &r1);
        for (q = 0; q < q_count; q++, y++) {
            cnv_real sum = 0, area;
            cnv__bin(q, q_count, w, &s0, &s1);
            area = (cnv_real)(r1 - r0) * (cnv_real)(s1 - s0);
            for (r = r0; r < r1; r++) {
                if (!back) sum += cnv__use()->total((size_t)(s1 - s0), x + r * w + s0);
                else for (s = s0; s < s1; s++) x[r * w + s] += *y / area;
            }
            if (!back) *y = sum / area;
        }
    }
}

CNVDEF int cnv_adaptive_avg_pool_forward(const cnv_tensor *x, int p, int q, cnv_tensor *y)
{
    int i, planes = x->n * x->c;
    if (!cnv_tensor_resize(y, x->n, x->c, p, q)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < planes; i++)
        cnv__adaptive_plane(x->data + (size_t)i * (size_t)x->h * (size_t)x->w, x->h, x->w, 0,
                            y->data + (size_t)i * (size_t)p * (size_t)q, p, q);
    return 1;
}

CNVDEF int cnv_adaptive_avg_pool_backward(const cnv_tensor *dy, cnv_tensor *dx)
{
    int i, planes = dx->n * dx->c;
    if (dy->n != dx->n || dy->c != dx->c)
        return cnv__fail("the output's gradient should have %d x %d planes, has %d x %d", dx->n,
                         dx->c, dy->n, dy->c);
    cnv_tensor_fill(dx, 0);
    CNV__PARALLEL_FOR(cnv_tensor_size(dx) > CNV__BLOCK)
    for (i = 0; i < planes; i++)
        cnv__adaptive_plane(dx->data + (size_t)i * (size_t)dx->h * (size_t)dx->w, dx->h, dx->w, 1,
                            dy->data + (size_t)i * (size_t)dy->h * (size_t)dy->w, dy->h, dy->w);
    return 1;
}

/* ---- 7.5 Normalization ---- */

CNVDEF int cnv_normalize_forward(const cnv_tensor *x, const cnv_real *mean, const cnv_real *std,
                                 cnv_tensor *y)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i, c;
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    for (i = 0; i < x->n * x->c; i++) {
        c = i % x->c;
        cnv__use()->affine(area, 1 / std[c], -mean[c] / std[c], x->data + (size_t)i * area,
                           y->data + (size_t)i * area);
    }
    return 1;
}

CNVDEF int cnv_normalize_backward(const cnv_tensor *dy, const cnv_real *std, cnv_tensor *dx)
{
    size_t area = (size_t)dy->h * (size_t)dy->w;
    int i;
    if (!cnv_tensor_resize(dx, dy->n, dy->c, dy->h, dy->w)) return 0;
    for (i = 0; i < dy->n * dy->c; i++)
        cnv__use()->affine(area, 1 / std[i % dy->c], 0, dy->data + (size_t)i * area,
                           dx->data + (size_t)i * area);
    return 1;
}

/* Fails unless each of the tensors (NULL: not asked) has `count` numbers. */
static int cnv__check_channels(int count, const cnv_tensor *a, const cnv_tensor *b,
                               const cnv_tensor *c, const cnv_tensor *d)
{
    const cnv_tensor *all[4];
    int i;
    all[0] = a, all[1] = b, all[2] = c, all[3] = d;
    for (i = 0; i < 4; i++)
        if (all[i] && cnv_tensor_size(all[i]) != (size_t)count)
            return cnv__fail("expects %.0f channels, got %d", (double)cnv_tensor_size(all[i]),
                             count);
    return 1;
}

CNVDEF int cnv_batch_norm_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                  const cnv_tensor *beta, const cnv_tensor *mean,
                                  const cnv_tensor *var, double eps, cnv_tensor *y)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i;
    if (!cnv__check_channels(x->c, gamma, beta, mean, var)) return 0;
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < x->n * x->c; i++) {
        int c = i % x->c;
        double scale = (double)gamma->data[c] / sqrt((double)var->data[c] + eps);
        double shift = (double)beta->data[c] - scale * (double)mean->data[c];
        cnv__use()->affine(area, (cnv_real)scale, (cnv_real)shift, x->data + (size_t)i * area,
                           y->data + (size_t)i * area);
    }
    return 1;
}

CNVDEF int cnv_batch_norm_backward(const cnv_tensor *dy, const cnv_tensor *gamma,
                                   const cnv_tensor *var, double eps, cnv_tensor *dx)
{
    size_t area = (size_t)dy->h * (size_t)dy->w;
    int i;
    if (!cnv__check_channels(dy->c, gamma, var, NULL, NULL)) return 0;
    if (!cnv_tensor_resize(dx, dy->n, dy->c, dy->h, dy->w)) return 0;
    for (i = 0; i < dy->n * dy->c; i++) {
        int c = i % dy->c;
        double scale = (double)gamma->data[c] / sqrt((double)var->data[c] + eps);
        cnv__use()->affine(area, (cnv_real)scale, 0, dy->data + (size_t)i * area,
                           dx->data + (size_t)i * area);
    }
    return 1;
}

/* Fails unless saved [2,planes,1,1] is what the forward pass kept. */
static int cnv__check_saved(const cnv_tensor *saved, int planes)
{
    return cnv__check_shape(saved, 2, planes, 1, 1, "the saved statistics");
}

/* y = x - mean, in `count` planes that lie `stride` planes apart; mean and variance of all. */
static void cnv__center(const cnv_real *x, int count, int stride, size_t area, cnv_real *y,
                        double *mean, double *var)
{
    double sum = 0, square = 0, total = (double)count * (double)area;
    size_t apart = (size_t)stride * area, n;
    for (n = 0; n < (size_t)count; n++) sum += (double)cnv__use()->total(area, x + n * apart);
    *mean = sum / total;
    for (n = 0; n < (size_t)count; n++) {
        cnv__use()->affine(area, 1, (cnv_real)-*mean, x + n * apart, y + n * apart);
        square += (double)cnv__use()->dot(area, y + n * apart, y + n * apart);
    }
    *var = square / total;
}

/* Normalizes `count` planes `stride` apart; spread = 1/sqrt(var + eps). */
static void cnv__norm_forward(const cnv_real *x, int count, int stride, size_t area,
                              cnv_real gamma, cnv_real beta, double eps, cnv_real *y, double *mean,
                              double *var, double *spread)
{
    size_t apart = (size_t)stride * area, n;
    cnv__center(x, count, stride, area, y, mean, var);
    *spread = 1 / sqrt(*var + eps);
    for (n = 0; n < (size_t)count; n++)
        cnv__use()->affine(area, (cnv_real)((double)gamma * *spread), beta, y + n * apart,
                           y + n * apart);
}

/* With z = (x - mean) * spread and means taken over all planes together:
     dx = gamma * spread * (dy - mean(dy) - z * mean(dy * z)),  dgamma += sum(dy * z),
     dbeta += sum(dy)                                                   (Ioffe & Szegedy 2015)
   On the way dx holds z. */
static void cnv__norm_backward(const cnv_real *x, int count, int stride, size_t area, double gamma,
                               double mean, double spread, const cnv_real *dy, cnv_real *dx,
                               cnv_real *dgamma, cnv_real *dbeta)
{
    double sum = 0, sum_z = 0, total = (double)count * (double)area, scale = gamma * spread;
    size_t apart = (size_t)stride * area, n;
    for (n = 0; n < (size_t)count; n++) {
        const cnv_real *from = dy + n * apart;
        cnv_real *z = dx + n * apart;
        cnv__use()->affine(area, 1, (cnv_real)-mean, x + n * apart, z);
        cnv__use()->affine(area, (cnv_real)spread, 0, z, z);
        sum += (double)cnv__use()->total(area, from);
        sum_z += (double)cnv__use()->dot(area, from, z);
    }
    for (n = 0; n < (size_t)count; n++) {
        cnv_real *to = dx + n * apart;
        cnv__use()->affine(area, (cnv_real)(-scale * sum_z / total),
                           (cnv_real)(-scale * sum / total), to, to);
        cnv__use()->add_scaled(area, (cnv_real)scale, dy + n * apart, to);
    }
    if (dgamma) *dgamma += (cnv_real)sum_z;
    if (dbeta) *dbeta += (cnv_real)sum;
}

CNVDEF int cnv_batch_norm_train_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                        const cnv_tensor *beta, double eps, double momentum,
                                        cnv_tensor *mean, cnv_tensor *var, cnv_tensor *y,
                                        cnv_tensor *saved)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    double total = (double)x->n * (double)area;
    int c;
    if (!cnv__check_channels(x->c, gamma, beta, mean, var)) return 0;
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    if (!cnv_tensor_resize(saved, 2, x->c, 1, 1)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (c = 0; c < x->c; c++) {
        double m, v, spread;
        const cnv_real *from = x->data + (size_t)c * area;
        cnv__norm_forward(from, x->n, x->c, area, gamma->data[c], beta->data[c], eps,
                          y->data + (size_t)c * area, &m, &v, &spread);
        saved->data[c] = (cnv_real)m;
        saved->data[x->c + c] = (cnv_real)spread;
        if (total > 1) v *= total / (total - 1);
        if (mean) mean->data[c] += (cnv_real)(momentum * (m - (double)mean->data[c]));
        if (var) var->data[c] += (cnv_real)(momentum * (v - (double)var->data[c]));
    }
    return 1;
}

CNVDEF int cnv_batch_norm_train_backward(const cnv_tensor *x, const cnv_tensor *saved,
                                         const cnv_tensor *gamma, const cnv_tensor *dy,
                                         cnv_tensor *dx, cnv_tensor *dgamma, cnv_tensor *dbeta)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int c;
    if (!cnv__check_channels(x->c, gamma, dgamma, dbeta, NULL)) return 0;
    if (!cnv__check_saved(saved, x->c)) return 0;
    if (!cnv__check_same(x, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (c = 0; c < x->c; c++)
        cnv__norm_backward(x->data + (size_t)c * area, x->n, x->c, area, (double)gamma->data[c],
                           (double)saved->data[c], (double)saved->data[x->c + c],
                           dy->data + (size_t)c * area, dx->data + (size_t)c * area,
                           dgamma ? dgamma->data + c : NULL, dbeta ? dbeta->data + c : NULL);
    return 1;
}

CNVDEF int cnv_instance_norm_forward(const cnv_tensor *x, const cnv_tensor *gamma,
                                     const cnv_tensor *beta, double eps, cnv_tensor *y,
                                     cnv_tensor *saved)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i, planes = x->n * x->c;
    if (!cnv__check_channels(x->c, gamma, beta, NULL, NULL)) return 0;
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    if (!cnv_tensor_resize(saved, 2, planes, 1, 1)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < planes; i++) {
        double mean, var, spread;
        const cnv_real *from = x->data + (size_t)i * area;
        cnv__norm_forward(from, 1, 1, area, gamma->data[i % x->c], beta->data[i % x->c], eps,
                          y->data + (size_t)i * area, &mean, &var, &spread);
        saved->data[i] = (cnv_real)mean;
        saved->data[planes + i] = (cnv_real)spread;
    }
    return 1;
}

CNVDEF int cnv_instance_norm_backward(const cnv_tensor *x, const cnv_tensor *saved,
                                      const cnv_tensor *gamma, const cnv_tensor *dy, cnv_tensor *dx,
                                      cnv_tensor *dgamma, cnv_tensor *dbeta)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i, planes = x->n * x->c;
    if (!cnv__check_channels(x->c, gamma, dgamma, dbeta, NULL)) return 0;
    if (!cnv__check_saved(saved, planes)) return 0;
    if (!cnv__check_same(x, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, x->n, x->c, x->h, x->w)) return 0;
    for (i = 0; i < planes; i++)
        cnv__norm_backward(x->data + (size_t)i * area, 1, 1, area, (double)gamma->data[i % x->c],
                           (double)saved->data[i], (double)saved->data[planes + i],
                           dy->data + (size_t)i * area, dx->data + (size_t)i * area,
                           dgamma ? dgamma->data + i % x->c : NULL,
                           dbeta ? dbeta->data + i % x->c : NULL);
    return 1;
}

/* The channels low ... high-1 around c that local response norm looks at. */
static void cnv__neighbours(int c, int size, int channels, int *low, int *high)
{
    *low = c - size / 2 > 0 ? c - size / 2 : 0;
    *high = c - size / 2 + size < channels ? c - size / 2 + size : channels;
}

CNVDEF int cnv_local_response_norm_forward(const cnv_tensor *x, int size, double alpha, double beta,
                                           double k, cnv_tensor *y, cnv_tensor *scale)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i;
    if (size < 1) return cnv__fail("local response norm over %d channels", size);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    if (!cnv_tensor_resize(scale, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < x->n * x->c; i++) {
        int low, high, j, c = i % x->c;
        const cnv_real *image = x->data + (size_t)(i - c) * area;
        size_t at;
        cnv__neighbours(c, size, x->c, &low, &high);
        for (at = 0; at < area; at++) {
            double sum = 0, here = (double)image[(size_t)c * area + at], divisor;
            for (j = low; j < high; j++)
                sum += (double)image[(size_t)j * area + at] * (double)image[(size_t)j * area + at];
            divisor = k + alpha / size * sum;
            scale->data[(size_t)i * area + at] = (cnv_real)divisor;
            y->data[(size_t)i * area + at] = (cnv_real)(here * pow(divisor, -beta));
        }
    }
    return 1;
}

/* dx[c] = dy[c] scale[c]^-beta - 2 alpha beta / size * x[c] * sum over those j that see c of
           dy[j] x[j] scale[j]^(-beta - 1) */
CNVDEF int cnv_local_response_norm_backward(const cnv_tensor *x, const cnv_tensor *scale, int size,
                                            double alpha, double beta, const cnv_tensor *dy,
                                            cnv_tensor *dx)
{
    size_t area = (size_t)x->h * (size_t)x->w;
    int i;
    if (size < 1) return cnv__fail("local response norm over %d channels", size);
    if (!cnv__check_same(x, scale, "the scale")) return 0;
    if (!cnv__check_same(x, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, x->n, x->c, x->h, x->w)) return 0;
    CNV__PARALLEL_FOR(cnv_tensor_size(x) > CNV__BLOCK)
    for (i = 0; i < x->n * x->c; i++) {
        int j, low, high, c = i % x->c;
        size_t at, image = (size_t)(i - c) * area;
        for (at = 0; at < area; at++) {
            size_t here = (size_t)i * area + at;
            double sum = 0;
            for (j = c > size ? c - size : 0; j < x->c && j - c <= size; j++) {
                size_t there = image + (size_t)j * area + at;
                cnv__neighbours(j, size, x->c, &low, &high);
                if (c >= low && c < high)
                    sum += (double)dy->data[there] * (double)x->data[there] *
                           pow((double)scale->data[there], -beta - 1);
            }
            dx->data[here] = (cnv_real)((double)dy->data[here] *
                                        pow((double)scale->data[here], -beta) -
                                        2 * alpha * beta / size * (double)x->data[here] * sum);
        }
    }
    return 1;
}

/* ---- 7.6 Softmax and loss ---- */

CNVDEF int cnv_softmax_forward(const cnv_tensor *x, cnv_tensor *y)
{
    size_t area = (size_t)x->h * (size_t)x->w, at;
    int n, c;
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    for (n = 0; n < x->n; n++)
        for (at = 0; at < area; at++) {
            const cnv_real *from = cnv_tensor_image(x, n).data + at;
            cnv_real *to = cnv_tensor_image(y, n).data + at;
            double most = (double)from[0], sum = 0;
            for (c = 1; c < x->c; c++)
                if ((double)from[(size_t)c * area] > most) most = (double)from[(size_t)c * area];
            for (c = 0; c < x->c; c++) sum += exp((double)from[(size_t)c * area] - most);
            for (c = 0; c < x->c; c++)
                to[(size_t)c * area] = (cnv_real)(exp((double)from[(size_t)c * area] - most) / sum);
        }
    return 1;
}

/* dx[c] = y[c] * (dy[c] - sum over j of dy[j] y[j]) */
CNVDEF int cnv_softmax_backward(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx)
{
    size_t area = (size_t)y->h * (size_t)y->w, at, k;
    int n, c;
    if (!cnv__check_same(y, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, y->n, y->c, y->h, y->w)) return 0;
    for (n = 0; n < y->n; n++)
        for (at = 0; at < area; at++) {
            double sum = 0;
            size_t image = (size_t)n * (size_t)y->c * area + at;
            for (c = 0, k = image; c < y->c; c++, k += area)
                sum += (double)dy->data[k] * (double)y->data[k];
            for (c = 0, k = image; c < y->c; c++, k += area)
                dx->data[k] = (cnv_real)((double)y->data[k] * ((double)dy->data[k] - sum));
        }
    return 1;
}

CNVDEF int cnv_cross_entropy(const cnv_tensor *logits, const int *labels, double *loss,
                             cnv_tensor *dlogits)
{
    int n, c, classes = logits->c;
    double total = 0;
    if (logits->h != 1 || logits->w != 1)
        return cnv__fail("cross entropy wants logits of N x C x 1 x 1, got %d x %d x %d x %d",
                         logits->n, logits->c, logits->h, logits->w);
    for (n = 0; n < logits->n; n++)
        if (labels[n] < 0 || labels[n] >= classes)
            return cnv__fail("label %d of image %d is not one of %d classes", labels[n], n,
                             classes);
    if (dlogits && !cnv_tensor_resize(dlogits, logits->n, classes, 1, 1)) return 0;
    for (n = 0; n < logits->n; n++) {
        const cnv_real *x = logits->data + n * classes;
        double most = (double)x[0], sum = 0;
        for (c = 1; c < classes; c++)
            if ((double)x[c] > most) most = (double)x[c];
        for (c = 0; c < classes; c++) sum += exp((double)x[c] - most);
        total += log(sum) + most - (double)x[labels[n]];
        for (c = 0; dlogits && c < classes; c++)
            dlogits->data[n * classes + c] =
                (cnv_real)((exp((double)x[c] - most) / sum - (c == labels[n])) / logits->n);
    }
    *loss = total / logits->n;
    return 1;
}

/* ---- 7.7 Joining, enlarging, padding, dropping ---- */

CNVDEF int cnv_concat_forward(const cnv_tensor *const *x, int count, cnv_tensor *y)
{
    size_t area;
    double channels = 0;
    int i, n;
    if (count < 1) return cnv__fail("cannot join %d tensors", count);
    area = (size_t)x[0]->h * (size_t)x[0]->w;
    for (i = 0; i < count; i++) {
        if (x[i]->n != x[0]->n || x[i]->h != x[0]->h || x[i]->w != x[0]->w)
            return cnv__fail("cannot join %d x %d x %d x %d to %d x %d x %d x %d", x[i]->n, x[i]->c,
                             x[i]->h, x[i]->w, x[0]->n, x[0]->c, x[0]->h, x[0]->w);
        channels += x[i]->c;
    }
    if (channels > INT_MAX) return cnv__fail("cannot join to %.0f channels", channels);
    if (!cnv_tensor_resize(y, x[0]->n, (int)channels, x[0]->h, x[0]->w)) return 0;
    for (n = 0; n < y->n; n++) {
        cnv_real *to = cnv_tensor_image(y, n).data;
        for (i = 0; i < count; i++) {
            size_t size = (size_t)x[i]->c * area;
            memcpy(to, x[i]->data + (size_t)n * size, size * sizeof *to);
            to += size;
        }
    }
    return 1;
}

CNVDEF int cnv_concat_backward(const cnv_tensor *dy, int first, cnv_tensor *dx)
{
    size_t area = (size_t)dy->h * (size_t)dy->w, size = (size_t)dx->c * area;
    int n;
    if (dx->n != dy->n || dx->h != dy->h || dx->w != dy->w || first < 0 || first > dy->c - dx->c)
        return cnv__fail("channels %d ... of %d x %d x %d x %d cannot fill %d x %d x %d x %d",
                         first, dy->n, dy->c, dy->h, dy->w, dx->n, dx->c, dx->h, dx->w);
    for (n = 0; n < dy->n; n++)
        memcpy(dx->data + (size_t)n * size, cnv_tensor_channel(dy, n, first).data,
               size * sizeof(cnv_real));
    return 1;
}

CNVDEF int cnv_add_forward(const cnv_tensor *a, const cnv_tensor *b, cnv_tensor *y)
{
    size_t n = cnv_tensor_size(a);
    int i, blocks = cnv__blocks(n);
    if (!cnv__check_same(a, b, "the second summand")) return 0;
    if (!cnv_tensor_resize(y, a->n, a->c, a->h, a->w)) return 0;
    CNV__PARALLEL_FOR(blocks > 1)
    for (i = 0; i < blocks; i++) {
        size_t count, start = cnv__block(n, i, &count);
        cnv__use()->add(count, a->data + start, b->data + start, y->data + start);
    }
    return 1;
}

CNVDEF double cnv_dot(const cnv_tensor *a, const cnv_tensor *b)
{
    size_t n = cnv_tensor_size(a), count;
    double sum = 0;
    int i;
    for (i = 0; i < cnv__blocks(n); i++) {
        size_t start = cnv__block(n, i, &count);
        sum += (double)cnv__use()->dot(count, a->data + start, b->data + start);
    }
    return sum;
}

CNVDEF void cnv_add_scaled(double scale, const cnv_tensor *x, cnv_tensor *y)
{
    cnv__use()->add_scaled(cnv_tensor_size(x), (cnv_real)scale, x->data, y->data);
}

CNVDEF int cnv_upsample_forward(const cnv_tensor *x, int factor, cnv_tensor *y)
{
    size_t i, rows = (size_t)x->n * (size_t)x->c * (size_t)x->h, w;
    int j, k;
    if (factor < 1 || x->h > INT_MAX / factor || x->w > INT_MAX / factor)
        return cnv__fail("cannot enlarge %d x %d by %d", x->h, x->w, factor);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h * factor, x->w * factor)) return 0;
    w = (size_t)y->w;
    for (i = 0; i < rows; i++) {
        const cnv_real *from = x->data + i * (size_t)x->w;
        cnv_real *row = y->data + i * (size_t)factor * w, *to = row;
        for (j = 0; j < x->w; j++)
            for (k = 0; k < factor; k++) *to++ = from[j];
        for (k = 1; k < factor; k++, to += w) memcpy(to, row, w * sizeof *to);
    }
    return 1;
}

CNVDEF int cnv_upsample_backward(const cnv_tensor *dy, int factor, cnv_tensor *dx)
{
    int i, h, w, k;
    if (factor < 1 || dy->h % factor || dy->w % factor)
        return cnv__fail("%d x %d was not enlarged by %d", dy->h, dy->w, factor);
    if (!cnv_tensor_resize(dx, dy->n, dy->c, dy->h / factor, dy->w / factor)) return 0;
    cnv_tensor_fill(dx, 0);
    for (i = 0; i < dy->n * dy->c; i++)
        for (h = 0; h < dy->h; h++) {
            const cnv_real *from = dy->data + ((size_t)i * (size_t)dy->h + (size_t)h) *
                                              (size_t)dy->w;
            cnv_real *to = dx->data + ((size_t)i * (size_t)dx->h + (size_t)(h / factor)) *
                                      (size_t)dx->w;
            for (w = 0; w < dx->w; w++)
                for (k = 0; k < factor; k++) to[w] += *from++;
        }
    return 1;
}

/* Where pixel i of a mirrored row of `size` pixels comes from. */
static int cnv__mirror(int i, int size)
{
    if (i < 0) return -i;
    return i < size ? i : 2 * (size - 1) - i;
}

CNVDEF int cnv_reflect_pad_forward(const cnv_tensor *x, int pad, cnv_tensor *y)
{
    int i, h, w;
    if (pad < 0 || pad >= x->h || pad >= x->w)
        return cnv__fail("cannot mirror %d pixels of an image of %d x %d", pad, x->h, x->w);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h + 2 * pad, x->w + 2 * pad)) return 0;
    for (i = 0; i < x->n * x->c; i++)
        for (h = 0; h < y->h; h++) {
            const cnv_real *from = x->data + ((size_t)i * (size_t)x->h +
                                              (size_t)cnv__mirror(h - pad, x->h)) * (size_t)x->w;
            cnv_real *to = y->data + ((size_t)i * (size_t)y->h + (size_t)h) * (size_t)y->w;
            for (w = 0; w < pad; w++) to[w] = from[pad - w];
            memcpy(to + pad, from, (size_t)x->w * sizeof *to);
            for (w = 0; w < pad; w++) to[pad + x->w + w] = from[x->w - 2 - w];
        }
    return 1;
}

CNVDEF int cnv_reflect_pad_backward(const cnv_tensor *dy, int pad, cnv_tensor *dx)
{
    int i, h, w, rows = dy->h - 2 * pad, columns = dy->w - 2 * pad;
    if (pad < 0 || pad >= rows || pad >= columns)
        return cnv__fail("%d x %d was not mirrored by %d pixels", dy->h, dy->w, pad);
    if (!cnv_tensor_resize(dx, dy->n, dy->c, rows, columns)) return 0;
    cnv_tensor_fill(dx, 0);
    for (i = 0; i < dy->n * dy->c; i++)
        for (h = 0; h < dy->h; h++) {
            const cnv_real *from = dy->data + ((size_t)i * (size_t)dy->h + (size_t)h) *
                                              (size_t)dy->w;
            cnv_real *to = dx->data + ((size_t)i * (size_t)rows +
                                       (size_t)cnv__mirror(h - pad, rows)) * (size_t)columns;
            cnv__use()->add((size_t)columns, to, from + pad, to);
            for (w = 0; w < pad; w++) {
                to[pad - w] += from[w];
                to[columns - 2 - w] += from[pad + columns + w];
            }
        }
    return 1;
}

CNVDEF int cnv_dropout_forward(const cnv_tensor *x, double p, cnv_rng *rng, cnv_tensor *y,
                               cnv_tensor *mask)
{
    size_t i, n = cnv_tensor_size(x);
    if (!(p >= 0 && p < 1)) return cnv__fail("cannot drop a share of %g", p);
    if (!cnv_tensor_resize(y, x->n, x->c, x->h, x->w)) return 0;
    if (!cnv_tensor_resize(mask, x->n, x->c, x->h, x->w)) return 0;
    for (i = 0; i < n; i++)
        mask->data[i] = cnv_uniform(rng) < p ? 0 : (cnv_real)(1 / (1 - p));
    cnv__use()->multiply(n, x->data, mask->data, y->data);
    return 1;
}

CNVDEF int cnv_dropout_backward(const cnv_tensor *dy, const cnv_tensor *mask, cnv_tensor *dx)
{
    if (!cnv__check_same(mask, dy, "the output's gradient")) return 0;
    if (!cnv_tensor_resize(dx, dy->n, dy->c, dy->h, dy->w)) return 0;
    cnv__use()->multiply(cnv_tensor_size(dy), dy->data, mask->data, dx->data);
    return 1;
}

/* ==================== 8. The network: a tape of nodes ==================== */

/* ---- 8.1 Building ---- */

CNVDEF cnv_net *cnv_net_new(void)
{
    cnv_net *net = (cnv_net *)cnv__allocate(1, sizeof *net);
    if (!net) return NULL;
    memset(net, 0, sizeof *net);
    net->version = 1;
    return net;
}

CNVDEF void cnv_net_free(cnv_net *net)
{
    int i;
    if (!net) return;
    for (i = 0; i < net->count; i++) {
        cnv_node *node = &net->nodes[i];
        cnv_tensor_free(&node->out), cnv_tensor_free(&node->grad), cnv_tensor_free(&node->saved);
        cnv_tensor_free(&node->packed[0]), cnv_tensor_free(&node->packed[1]);
    }
    for (i = 0; i < net->param_count; i++) {
        cnv_param *param = &net->params[i];
        cnv_tensor_free(&param->value), cnv_tensor_free(&param->grad);
        cnv_tensor_free(&param->m), cnv_tensor_free(&param->v);
    }
    cnv_tensor_free(&net->spare);
    for (i = 0; i < CNV_POOL; i++) cnv_tensor_free(&net->pool[i]);
    cnv_workspace_free(&net->workspace);
    cnv_safetensors_close(net->file);
    CNNVIS_FREE(net->nodes);
    CNNVIS_FREE(net->params);
    CNNVIS_FREE(net);
}

/* The net cannot be built: keeps the first message. Returns -1, the index of no node. */
static int cnv__break(cnv_net *net)
{
    if (!net->broken) {
        net->broken = 1;
        strcpy(net->message, cnv__message);
    }
    return -1;
}

/* Room for one more element in an array that doubles; NULL without memory. */
static void *cnv__grow(void *array, int count, size_t size)
{
    if (count & (count - 1)) return array; /* full only at 0, 1, 2, 4, 8, ... */
    array = CNNVIS_REALLOC(array, (count ? 2 * (size_t)count : 1) * size);
    if (!array) cnv__fail("out of memory: asked for %d nodes or parameters", 2 * count);
    return array;
}

static const char *const cnv__op_names[CNV_OPS] = {
    "input", "normalize", "conv", "linear", "relu", "sigmoid", "tanh", "max_pool", "avg_pool",
    "adaptive_avg_pool", "batch_norm", "instance_norm", "local_response_norm", "softmax", "concat",
    "add", "upsample", "reflect_pad", "dropout"
};

CNVDEF const char *cnv_op_name(cnv_op op) { return cnv__op_names[op]; }

CNVDEF int cnv_name(cnv_net *net, int x, const char *name)
{
    int i;
    if (x < 0 || x >= net->count) return cnv__fail("the network has no node %d", x);
    if (!*name) return cnv__fail("a node's name cannot be empty");
    if (strlen(name) >= CNV_NAME_SIZE) return cnv__fail("the name \"%s\" is too long", name);
    for (i = 0; i < net->count; i++)
        if (i != x && !strcmp(net->nodes[i].name, name))
            return cnv__fail("the network has a node \"%s\" already", name);
    strcpy(net->nodes[x].name, name);
    return 1;
}

/* "relu3" for the third ReLU */
static void cnv__numbered_name(const cnv_net *net, cnv_op op, char *name)
{
    const char *word = op == CNV_MAX_POOL ? "pool" : cnv__op_names[op];
    int i, number = 0;
    for (i = 0; i < net->count; i++) number += net->nodes[i].op == op;
    do { /* until nobody has that name */
        snprintf(name, CNV_NAME_SIZE, "%s%d", word, ++number);
        for (i = 0; i < net->count && strcmp(net->nodes[i].name, name);) i++;
    } while (i < net->count);
}

/* Appends a node that reads x[0] ... x[inputs-1], all its settings zero. Returns its index or -1.
   */
static int cnv__append(cnv_net *net, cnv_op op, const char *name, const int *x, int inputs)
{
    cnv_node *node, *nodes;
    char number[CNV_NAME_SIZE];
    int i;
    if (net->broken) return cnv__fail("%s", net->message), -1;
    for (i = 0; i < inputs; i++)
        if (x[i] < 0 || x[i] >= net->count) {
            cnv__fail("%s \"%s\": there is no node %d to read", cnv__op_names[op], name ? name : "",
                      x[i]);
            return cnv__break(net);
        }
    nodes = (cnv_node *)cnv__grow(net->nodes, net->count, sizeof *nodes);
    if (!nodes) return cnv__break(net);
    net->nodes = nodes;
    node = &nodes[net->count];
    memset(node, 0, sizeof *node);
    node->op = op;
    node->inputs = inputs;
    for (i = 0; i < inputs; i++) node->input[i] = x[i];
    if (inputs) node->channels = nodes[x[0]].channels;
    cnv__numbered_name(net, op, number);
    net->count++;
    if (!cnv_name(net, net->count - 1, name ? name : number)) return cnv__break(net);
    return net->count - 1;
}

/* Breaks the net unless ok: node i was given a setting that makes no sense. Returns i or -1. */
static int cnv__require(cnv_net *net, int i, int ok, const char *setting, double value)
{
    if (ok) return i;
    cnv__fail("%s \"%s\": a %s of %g makes no sense", cnv__op_names[net->nodes[i].op],
              net->nodes[i].name, setting, value);
    return cnv__break(net);
}

/* Gives node x its next parameter, named "node.what", filled with `value`. */
static int cnv__append_param(cnv_net *net, int x, const char *what, int n, int c, int h, int w,
                             int rank, double value)
{
    cnv_param *params = (cnv_param *)cnv__grow(net->params, net->param_count, sizeof *params);
    cnv_param *param;
    const char *name = net->nodes[x].name;
    if (!params) return cnv__break(net);
    net->params = params;
    param = &params[net->param_count];
    memset(param, 0, sizeof *param);
    if (strlen(name) + strlen(what) + 2 > CNV_NAME_SIZE) {
        cnv__fail("the name \"%s.%s\" is too long", name, what);
        return cnv__break(net);
    }
    strcat(strcat(strcpy(param->name, name), "."), what);
    param->rank = rank;
    param->trainable = strncmp(what, "running", 7) != 0;
    param->rate = 1;
    if (!cnv__tensor_shape(&param->value, n, c, h, w, 1)) return cnv__break(net);
    if (value != 0) cnv_tensor_fill(&param->value, value);
    net->nodes[x].param[net->nodes[x].params++] = net->param_count;
    return net->param_count++;
}

CNVDEF int cnv_input(cnv_net *net, int channels)
{
    int i = cnv__append(net, CNV_INPUT, "input", NULL, 0);
    if (i < 0) return -1;
    net->nodes[i].channels = channels;
    if (i == 0 && channels > 0) return i;
    cnv__fail(i ? "a network has one input, its first node" : "an input needs channels");
    return cnv__break(net);
}

CNVDEF int cnv_normalize(cnv_net *net, int x, const double *mean, const double *std)
{
    int c, i = cnv__append(net, CNV_NORMALIZE, NULL, &x, 1);
    if (i < 0) return -1;
    if (net->nodes[i].channels > 4) {
        cnv__fail("normalize: %d channels, at most 4 are possible", net->nodes[i].channels);
        return cnv__break(net);
    }
    for (c = 0; c < net->nodes[i].channels; c++) {
        net->nodes[i].mean[c] = (cnv_real)mean[c];
        net->nodes[i].std[c] = (cnv_real)std[c];
        if (!(std[c] > 0)) return cnv__require(net, i, 0, "std", std[c]);
    }
    return i;
}

CNVDEF int cnv_conv2d_window(cnv_net *net, int x, const char *name, int filters,
                             const cnv_window *win, int groups, int bias)
{
    int p, q, channels, i = cnv__append(net, CNV_CONV2D, name, &x, 1);
    if (i < 0) return -1;
    channels = net->nodes[i].channels;
    if (groups < 1 || filters < 1 || channels % groups || filters % groups) {
        cnv__fail("conv \"%s\": %d groups do not divide %d channels and %d filters",
                  net->nodes[i].name, groups, channels, filters);
        return cnv__break(net);
    }
    if (!cnv_window_output(win, 1 << 20, 1 << 20, &p, &q)) return cnv__break(net);
    net->nodes[i].window = *win;
    net->nodes[i].groups = groups;
    net->nodes[i].channels = filters;
    if (cnv__append_param(net, i, "weight", filters, channels / groups, win->kernel_h,
                          win->kernel_w, 4, 0) < 0) return -1;
    if (bias && cnv__append_param(net, i, "bias", 1, filters, 1, 1, 1, 0) < 0) return -1;
    return i;
}

CNVDEF int cnv_conv2d(cnv_net *net, int x, const char *name, int filters, int kernel, int stride,
                      int pad)
{
    cnv_window win = cnv_square(kernel, stride, pad);
    return cnv_conv2d_window(net, x, name, filters, &win, 1, 1);
}

CNVDEF int cnv_linear(cnv_net *net, int x, const char *name, int in, int out)
{
    int i = cnv__append(net, CNV_LINEAR, name, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].channels = out;
    if (cnv__append_param(net, i, "weight", out, in, 1, 1, 2, 0) < 0) return -1;
    if (cnv__append_param(net, i, "bias", 1, out, 1, 1, 1, 0) < 0) return -1;
    return i;
}

CNVDEF int cnv_relu(cnv_net *net, int x) { return cnv__append(net, CNV_RELU, NULL, &x, 1); }
CNVDEF int cnv_sigmoid(cnv_net *net, int x) { return cnv__append(net, CNV_SIGMOID, NULL, &x, 1); }
CNVDEF int cnv_tanh(cnv_net *net, int x) { return cnv__append(net, CNV_TANH, NULL, &x, 1); }
CNVDEF int cnv_softmax(cnv_net *net, int x) { return cnv__append(net, CNV_SOFTMAX, NULL, &x, 1); }

/* A pooling node of either kind. */
static int cnv__append_pool(cnv_net *net, cnv_op op, int x, const cnv_window *win,
                            int count_padding)
{
    int p, q, i = cnv__append(net, op, NULL, &x, 1);
    if (i < 0) return -1;
    if (!cnv_window_output(win, 1 << 20, 1 << 20, &p, &q)) return cnv__break(net);
    net->nodes[i].window = *win;
    net->nodes[i].count_padding = count_padding;
    return i;
}

CNVDEF int cnv_max_pool_window(cnv_net *net, int x, const cnv_window *win)
{
    return cnv__append_pool(net, CNV_MAX_POOL, x, win, 0);
}

CNVDEF int cnv_max_pool(cnv_net *net, int x, int kernel, int stride, int pad)
{
    cnv_window win = cnv_square(kernel, stride, pad);
    return cnv_max_pool_window(net, x, &win);
}

CNVDEF int cnv_avg_pool_window(cnv_net *net, int x, const cnv_window *win, int count_padding)
{
    return cnv__append_pool(net, CNV_AVG_POOL, x, win, count_padding);
}

CNVDEF int cnv_avg_pool(cnv_net *net, int x, int kernel, int stride, int pad)
{
    cnv_window win = cnv_square(kernel, stride, pad);
    return cnv_avg_pool_window(net, x, &win, 1);
}

CNVDEF int cnv_adaptive_avg_pool(cnv_net *net, int x, int h, int w)
{
    int i = cnv__append(net, CNV_ADAPTIVE_AVG_POOL, NULL, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].size_h = h, net->nodes[i].size_w = w;
    return cnv__require(net, i, h > 0 && w > 0, "size of the output", h < w ? h : w);
}

CNVDEF int cnv_global_avg_pool(cnv_net *net, int x) { return cnv_adaptive_avg_pool(net, x, 1, 1); }

/* The two norms with gamma and beta. */
static int cnv__append_norm(cnv_net *net, cnv_op op, int x, const char *name, double eps)
{
    int c, i = cnv__append(net, op, name, &x, 1);
    if (i < 0) return -1;
    c = net->nodes[i].channels;
    net->nodes[i].eps = eps;
    if (cnv__append_param(net, i, "weight", 1, c, 1, 1, 1, 1) < 0) return -1;
    if (cnv__append_param(net, i, "bias", 1, c, 1, 1, 1, 0) < 0) return -1;
    return i;
}

CNVDEF int cnv_batch_norm(cnv_net *net, int x, const char *name, double eps)
{
    int c, i = cnv__append_norm(net, CNV_BATCH_NORM, x, name, eps);
    if (i < 0) return -1;
    c = net->nodes[i].channels;
    if (cnv__append_param(net, i, "running_mean", 1, c, 1, 1, 1, 0) < 0) return -1;
    if (cnv__append_param(net, i, "running_var", 1, c, 1, 1, 1, 1) < 0) return -1;
    return i;
}

CNVDEF int cnv_instance_norm(cnv_net *net, int x, const char *name, double eps)
{
    return cnv__append_norm(net, CNV_INSTANCE_NORM, x, name, eps);
}

CNVDEF int cnv_local_response_norm(cnv_net *net, int x, int size, double alpha, double beta,
                                   double k)
{
    int i = cnv__append(net, CNV_LOCAL_RESPONSE_NORM, NULL, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].size_h = size;
    net->nodes[i].alpha = alpha, net->nodes[i].beta = beta, net->nodes[i].k = k;
    return cnv__require(net, i, size > 0, "number of channels", size);
}

CNVDEF int cnv_concat(cnv_net *net, const int *x, int count)
{
    double channels = 0;
    int i, k;
    if (!net->broken && (count < 1 || count > CNV_MAX_INPUTS)) {
        cnv__fail("concat: %d inputs, possible are 1 to %d", count, CNV_MAX_INPUTS);
        return cnv__break(net);
    }
    i = cnv__append(net, CNV_CONCAT, NULL, x, count);
    if (i < 0) return -1;
    for (k = 0; k < count; k++) channels += net->nodes[x[k]].channels;
    if (channels > INT_MAX) return cnv__require(net, i, 0, "number of channels", channels);
    net->nodes[i].channels = (int)channels;
    return i;
}

CNVDEF int cnv_add(cnv_net *net, int a, int b)
{
    int x[2];
    x[0] = a, x[1] = b;
    return cnv__append(net, CNV_ADD, NULL, x, 2);
}

CNVDEF int cnv_upsample(cnv_net *net, int x, int factor)
{
    int i = cnv__append(net, CNV_UPSAMPLE, NULL, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].size_h = factor;
    return cnv__require(net, i, factor > 0, "factor", factor);
}

CNVDEF int cnv_reflect_pad(cnv_net *net, int x, int pad)
{
    int i = cnv__append(net, CNV_REFLECT_PAD, NULL, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].size_h = pad;
    return cnv__require(net, i, pad >= 0, "pad", pad);
}

CNVDEF int cnv_dropout(cnv_net *net, int x, double p)
{
    int i = cnv__append(net, CNV_DROPOUT, NULL, &x, 1);
    if (i < 0) return -1;
    net->nodes[i].alpha = p;
    return cnv__require(net, i, p >= 0 && p < 1, "probability", p);
}

CNVDEF int cnv_find(const cnv_net *net, const char *name)
{
    char names[400] = "";
    size_t length = 0;
    int i;
    for (i = 0; i < net->count; i++)
        if (!strcmp(net->nodes[i].name, name)) return i;
    for (i = 0; i < net->count && length + CNV_NAME_SIZE < sizeof names - 4; i++)
        length += (size_t)snprintf(names + length, CNV_NAME_SIZE + 1, " %s", net->nodes[i].name);
    if (i < net->count) strcat(names, " ...");
    cnv__fail("the network has no layer \"%s\"; it has:%s", name, names);
    return -1;
}

CNVDEF int cnv_init(cnv_net *net, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    size_t k;
    if (net->broken) return cnv__fail("%s", net->message);
    for (i = 0; i < net->param_count; i++) {
        cnv_tensor *value = &net->params[i].value;
        size_t size = cnv_tensor_size(value), length = strlen(net->params[i].name);
        double fan_in = (double)size / value->n;
        int norm = net->params[i].rank == 1 &&
                   (!strcmp(net->params[i].name + length - 6, "weight") ||
                    !strcmp(net->params[i].name + length - 3, "var"));
        if (net->params[i].rank == 1) cnv_tensor_fill(value, norm);
        else for (k = 0; k < size; k++)
            value->data[k] = (cnv_real)(sqrt(2 / fan_in) * cnv_normal(&rng));
    }
    cnv_weights_changed(net);
    return 1;
}

CNVDEF void cnv_weights_changed(cnv_net *net) { net->version++; }

/* ---- 8.2 Forward ---- */

/* The place for packed weights of a node, emptied if the weights or the instruction set changed. */
static cnv_tensor *cnv__kept(const cnv_net *net, cnv_node *node, int direction)
{
    uint64_t version = net->version * 64 + (uint64_t)cnv__use()->tile_columns;
    if (node->packed_version[direction] != version) node->packed[direction].n = 0;
    node->packed_version[direction] = version;
    return &node->packed[direction];
}

/* Parameter i of a node: its value; NULL if the layer has none (a convolution without bias). */
static cnv_tensor *cnv__value(cnv_net *net, const cnv_node *node, int i)
{
    return i < node->params ? &net->params[node->param[i]].value : NULL;
}

static int cnv__forward_norm(cnv_net *net, cnv_node *node, const cnv_tensor *x)
{
    cnv_tensor *gamma = cnv__value(net, node, 0), *beta = cnv__value(net, node, 1);
    cnv_tensor *mean = cnv__value(net, node, 2), *var = cnv__value(net, node, 3);
    if (node->op == CNV_INSTANCE_NORM)
        return cnv_instance_norm_forward(x, gamma, beta, node->eps, &node->out, &node->saved);
    if (net->training)
        return cnv_batch_norm_train_forward(x, gamma, beta, node->eps, 0.1, mean, var, &node->out,
                                            &node->saved);
    return cnv_batch_norm_forward(x, gamma, beta, mean, var, node->eps, &node->out);
}

static int cnv__forward_concat(cnv_net *net, cnv_node *node)
{
    const cnv_tensor *all[CNV_MAX_INPUTS] = {NULL};
    int i;
    for (i = 0; i < node->inputs; i++) all[i] = &net->nodes[node->input[i]].out;
    return cnv_concat_forward(all, node->inputs, &node->out);
}

static int cnv__forward_dropout(cnv_net *net, cnv_node *node, const cnv_tensor *x)
{
    if (!net->training) return cnv_tensor_copy(x, &node->out);
    return cnv_dropout_forward(x, node->alpha, &net->rng, &node->out, &node->saved);
}

/* node->out from its inputs' out */
static int cnv__forward_node(cnv_net *net, cnv_node *node)
{
    const cnv_tensor *x = &net->nodes[node->input[0]].out;
    cnv_tensor *y = &node->out, *saved = &node->saved;
    cnv_tensor *weight = cnv__value(net, node, 0), *bias = cnv__value(net, node, 1);
    switch (node->op) {
    case CNV_NORMALIZE: return cnv_normalize_forward(x, node->mean, node->std, y);
    case CNV_CONV2D: return cnv__conv2d_forward(x, weight, bias, &node->window, node->groups, y,
                                                &net->workspace, cnv__kept(net, node, 0));
    case CNV_LINEAR: return cnv_linear_forward(x, weight, bias, y, &net->workspace);
    case CNV_RELU: return cnv_relu_forward(x, y);
    case CNV_SIGMOID: return cnv_sigmoid_forward(x, y);
    case CNV_TANH: return cnv_tanh_forward(x, y);
    case CNV_MAX_POOL:
        saved->n = 0; /* for cnv_switches */
        return cnv_max_pool_forward(x, &node->window, y);
    case CNV_AVG_POOL: return cnv_avg_pool_forward(x, &node->window, node->count_padding, y);
    case CNV_ADAPTIVE_AVG_POOL:
        return cnv_adaptive_avg_pool_forward(x, node->size_h, node->size_w, y);
    case CNV_BATCH_NORM: case CNV_INSTANCE_NORM: return cnv__forward_norm(net, node, x);
    case CNV_LOCAL_RESPONSE_NORM:
        return cnv_local_response_norm_forward(x, node->size_h, node->alpha, node->beta, node->k, y,
                                               saved);
    case CNV_SOFTMAX: return cnv_softmax_forward(x, y);
    case CNV_CONCAT: return cnv__forward_concat(net, node);
    case CNV_ADD: return cnv_add_forward(x, &net->nodes[node->input[1]].out, y);
    case CNV_UPSAMPLE: return cnv_upsample_forward(x, node->size_h, y);
    case CNV_REFLECT_PAD: return cnv_reflect_pad_forward(x, node->size_h, y);
    case CNV_DROPOUT: return cnv__forward_dropout(net, node, x);
    default: return cnv__fail("cannot be computed");
    }
}

/* Puts 'conv "conv2": ' before the message that an operator left. */
static int cnv__blame(const cnv_node *node)
{
    char reason[sizeof cnv__message];
    strcpy(reason, cnv__message);
    return cnv__fail("%s \"%s\": %.400s", cnv__op_names[node->op], node->name, reason);
}

static void cnv__give_back(const cnv_net *net, const cnv_node *node); /* see 10.3 */

CNVDEF int cnv_forward(cnv_net *net, const cnv_tensor *image, int upto)
{
    int i;
    if (net->broken) return cnv__fail("%s", net->message);
    if (!net->count) return cnv__fail("the network has no nodes");
    if (upto == CNV_ALL) upto = net->count - 1;
    if (upto < 0 || upto >= net->count) return cnv__fail("the network has no node %d", upto);
    if (image->c != net->nodes[0].channels)
        return cnv__fail("the network wants images of %d channels, got %d", net->nodes[0].channels,
                         image->c);
    for (i = 0; i < net->count; i++) net->nodes[i].has_grad = 0;
    net->valid = 0;
    if (!cnv_tensor_copy(image, &net->nodes[0].out)) return 0;
    for (i = 1; i <= upto; i++) {
        if (!cnv__forward_node(net, &net->nodes[i])) return cnv__blame(&net->nodes[i]);
        cnv__give_back(net, &net->nodes[i]);
    }
    net->valid = upto + 1;
    net->was_training = net->training;
    return 1;
}

/* ---- 8.3 Backward ---- */

CNVDEF cnv_tensor *cnv_seed(cnv_net *net, int node)
{
    cnv_node *at;
    if (node < 0 || node >= net->valid) {
        cnv__fail("node %d cannot be seeded: the image has been run up to node %d", node,
                  net->valid - 1);
        return NULL;
    }
    at = &net->nodes[node];
    if (!at->has_grad) {
        if (!cnv_tensor_resize(&at->grad, at->out.n, at->out.c, at->out.h, at->out.w)) return NULL;
        cnv_tensor_fill(&at->grad, 0);
        at->has_grad = 1;
    }
    return &at->grad;
}

static const cnv_tensor *cnv__switches(cnv_net *net, cnv_node *node)
{
    const cnv_tensor *x = &net->nodes[node->input[0]].out;
    int found = node->saved.n ||
        cnv_max_pool_switches(x, &node->window, &node->out, &node->saved);
    return found ? &node->saved : NULL;
}

CNVDEF const cnv_tensor *cnv_switches(cnv_net *net, int node)
{
    if (node >= 0 && node < net->valid && net->nodes[node].op == CNV_MAX_POOL)
        return cnv__switches(net, &net->nodes[node]);
    cnv__fail("node %d has no switches: it is no max pooling that the image has been run through",
              node);
    return NULL;
}

/* Gives `state` value's shape and zeroes, if it has none yet. */
static int cnv__state(const cnv_tensor *value, cnv_tensor *state)
{
    return state->data || cnv__tensor_shape(state, value->n, value->c, value->h, value->w, 1);
}

/* Where the gradient of parameter i of a node is added up; zero at first. */
static cnv_tensor *cnv__slope(cnv_net *net, const cnv_node *node, int i)
{
    cnv_param *param = i < node->params ? &net->params[node->param[i]] : NULL;
    return param && cnv__state(&param->value, &param->grad) ? &param->grad : NULL;
}

/* Adds up the gradients of a convolution's or linear layer's weights. */
static int cnv__backward_weights(cnv_net *net, cnv_node *node)
{
    const cnv_tensor *x = &net->nodes[node->input[0]].out;
    cnv_tensor *weight = cnv__slope(net, node, 0), *bias = cnv__slope(net, node, 1);
    if (!weight || (node->params > 1 && !bias)) return 0;
    if (node->op == CNV_LINEAR)
        return cnv_linear_backward_weights(x, &node->grad, weight, bias, &net->workspace);
    return cnv_conv2d_backward_weights(x, &node->grad, &node->window, node->groups, weight, bias,
                                       &net->workspace);
}

/* The norms give the gradients of data and parameters in one go. */
static int cnv__backward_norm(cnv_net *net, cnv_node *node, const cnv_tensor *x, cnv_tensor *dx)
{
    cnv_tensor *gamma = cnv__value(net, node, 0), *dgamma = NULL, *dbeta = NULL;
    if (node->op == CNV_BATCH_NORM && !net->training)
        return cnv_batch_norm_backward(&node->grad, gamma, cnv__value(net, node, 3), node->eps, dx);
    if (net->training) {
        dgamma = cnv__slope(net, node, 0), dbeta = cnv__slope(net, node, 1);
        if (!dgamma || !dbeta) return 0;
    }
    if (node->op == CNV_BATCH_NORM)
        return cnv_batch_norm_train_backward(x, &node->saved, gamma, &node->grad, dx, dgamma,
                                             dbeta);
    return cnv_instance_norm_backward(x, &node->saved, gamma, &node->grad, dx, dgamma, dbeta);
}

/* dx, the gradient of the node's k-th input, from node->grad; dx has its shape already. */
static int cnv__backward_node(cnv_net *net, cnv_node *node, int k, cnv_tensor *dx)
{
    const cnv_tensor *x = &net->nodes[node->input[k]].out, *dy = &node->grad;
    const cnv_tensor *y = &node->out, *saved = &node->saved, *weight = cnv__value(net, node, 0);
    int i, first = 0;
    switch (node->op) {
    case CNV_NORMALIZE: return cnv_normalize_backward(dy, node->std, dx);
    case CNV_CONV2D:
        return cnv__conv2d_backward_data(dy, weight, &node->window, node->groups, dx,
                                         &net->workspace, cnv__kept(net, node, 1));
    case CNV_LINEAR: return cnv_linear_backward_data(dy, weight, dx, &net->workspace);
    case CNV_RELU: return cnv_relu_backward(net->relu_rule, x, dy, dx);
    case CNV_SIGMOID: return cnv_sigmoid_backward(y, dy, dx);
    case CNV_TANH: return cnv_tanh_backward(y, dy, dx);
    case CNV_MAX_POOL:
        saved = cnv__switches(net, node);
        return saved && cnv_max_pool_backward(dy, saved, &node->window, dx);
    case CNV_AVG_POOL: return cnv_avg_pool_backward(dy, &node->window, node->count_padding, dx);
    case CNV_ADAPTIVE_AVG_POOL: return cnv_adaptive_avg_pool_backward(dy, dx);
    case CNV_BATCH_NORM: case CNV_INSTANCE_NORM: return cnv__backward_norm(net, node, x, dx);
    case CNV_LOCAL_RESPONSE_NORM:
        return cnv_local_response_norm_backward(x, saved, node->size_h, node->alpha, node->beta, dy,
                                                dx);
    case CNV_SOFTMAX: return cnv_softmax_backward(y, dy, dx);
    case CNV_CONCAT:
        for (i = 0; i < k; i++) first += net->nodes[node->input[i]].channels;
        return cnv_concat_backward(dy, first, dx);
    case CNV_ADD: return cnv_tensor_copy(dy, dx);
    case CNV_UPSAMPLE: return cnv_upsample_backward(dy, node->size_h, dx);
    case CNV_REFLECT_PAD: return cnv_reflect_pad_backward(dy, node->size_h, dx);
    case CNV_DROPOUT:
        return net->training ? cnv_dropout_backward(dy, saved, dx) : cnv_tensor_copy(dy, dx);
    default: return cnv__fail("has no gradient");
    }
}

/* Lends a node the first memory in the pool that nobody has: always the same in passes of the same
   kind, so that later ones need no more than the first. It is large enough for every node at once:
   memory that grows step by step leaves holes behind. */
static void cnv__lend(cnv_net *net, cnv_node *node)
{
    const cnv_tensor *most = &node->out;
    int i, k;
    for (i = 0; i < CNV_POOL && net->lent[i];) i++;
    if (i == CNV_POOL || node->grad.data) return;
    for (k = 1; k < net->valid; k++)
        if (cnv_tensor_size(&net->nodes[k].out) > cnv_tensor_size(most)) most = &net->nodes[k].out;
    if (!cnv_tensor_resize(&net->pool[i], most->n, most->c, most->h, most->w)) return;
    node->grad = net->pool[i], node->borrowed = i + 1, net->lent[i] = 1;
    memset(&net->pool[i], 0, sizeof net->pool[i]);
}

static void cnv__take_back(cnv_net *net, cnv_node *node)
{
    int i = node->borrowed - 1;
    if (i < 0) return;
    net->pool[i] = node->grad, node->borrowed = 0, net->lent[i] = 0;
    memset(&node->grad, 0, sizeof node->grad);
}

/* Carries a node's gradient to its k-th input: written there if it is the first to arrive, else
   computed aside and added. */
static int cnv__backward_input(cnv_net *net, cnv_node *node, int k, int downto)
{
    cnv_node *input = &net->nodes[node->input[k]];
    const cnv_tensor *x = &input->out;
    cnv_tensor *dx = input->has_grad ? &net->spare : &input->grad;
    if (net->frugal && !input->has_grad && node->input[k] != downto) cnv__lend(net, input);
    if (!cnv_tensor_resize(dx, x->n, x->c, x->h, x->w)) return 0;
    if (!cnv__backward_node(net, node, k, dx)) return 0;
    if (dx == &net->spare) return cnv_add_forward(&input->grad, dx, &input->grad);
    input->has_grad = 1;
    return 1;
}

/* Marks the nodes whose gradient is wanted: `downto`, those with a parameter that is being trained,
   and all above them. */
static void cnv__mark_wanted(cnv_net *net, int downto)
{
    int i, k;
    for (i = 0; i < net->count; i++) {
        cnv_node *node = &net->nodes[i];
        node->wanted = i == downto || (net->training && node->params);
        for (k = 0; k < node->inputs; k++)
            if (net->nodes[node->input[k]].wanted) node->wanted = 1;
    }
}

/* One node's part of backward: its parameters' gradients, and those of its inputs. */
static int cnv__backward_step(cnv_net *net, cnv_node *node, int downto)
{
    int k, norm = node->op == CNV_BATCH_NORM || node->op == CNV_INSTANCE_NORM;
    if (net->training && (node->op == CNV_CONV2D || node->op == CNV_LINEAR))
        if (!cnv__backward_weights(net, node)) return 0;
    for (k = 0; k < node->inputs; k++) {
        int wanted = node->input[k] >= downto && net->nodes[node->input[k]].wanted;
        if (wanted || (net->training && norm)) /* a norm's parameters come along with its data */
            if (!cnv__backward_input(net, node, k, downto)) return 0;
    }
    return 1;
}

CNVDEF int cnv_backward(cnv_net *net, int downto)
{
    int i, ok = 1;
    if (net->broken) return cnv__fail("%s", net->message);
    if (downto < CNV_PARAMETERS || downto >= net->valid)
        return cnv__fail("cannot go back to node %d: the image has been run up to node %d", downto,
                         net->valid - 1);
    if (net->training != net->was_training)
        return cnv__fail("training has changed since the image was run: run it again");
    cnv__mark_wanted(net, downto);
    for (i = net->count - 1; ok && i > downto; i--) {
        ok = !net->nodes[i].has_grad || cnv__backward_step(net, &net->nodes[i], downto);
        if (!ok) cnv__blame(&net->nodes[i]);
        cnv__give_back(net, &net->nodes[i]);
        cnv__take_back(net, &net->nodes[i]);
    }
    for (; i >= 0; i--) cnv__take_back(net, &net->nodes[i]); /* what a failure left */
    for (i = downto < 0 ? 0 : downto; ok && i < net->valid; i++)
        if (!net->nodes[i].has_grad && (i == downto || net->nodes[i].grad.data))
            ok = cnv_seed(net, i) != NULL; /* not reached: the objective does not depend on it */
    for (i = 0; i < net->count; i++) net->nodes[i].has_grad = 0;
    return ok;
}

/* ==================== 9. Training ==================== */

CNVDEF cnv_optimizer cnv_sgd(double rate, double momentum, double weight_decay)
{
    cnv_optimizer optimizer;
    optimizer.method = CNV_SGD;
    optimizer.rate = rate, optimizer.momentum = momentum, optimizer.weight_decay = weight_decay;
    optimizer.beta2 = 0, optimizer.eps = 0, optimizer.step = 0;
    return optimizer;
}

CNVDEF cnv_optimizer cnv_adam(double rate, double weight_decay)
{
    cnv_optimizer optimizer = cnv_sgd(rate, 0.9, weight_decay);
    optimizer.method = CNV_ADAM;
    optimizer.beta2 = 0.999, optimizer.eps = 1e-8;
    return optimizer;
}

/* The constants of Adam's next step at that rate, for a parameter that decays by `decay`. */
static cnv__adam cnv__adam_step(const cnv_optimizer *optimizer, double rate, double decay)
{
    double steps = (double)(optimizer->step + 1);
    cnv__adam a;
    a.rate = (cnv_real)(rate / (1 - pow(optimizer->momentum, steps)));
    a.root = (cnv_real)(1 / sqrt(1 - pow(optimizer->beta2, steps)));
    a.eps = (cnv_real)optimizer->eps;
    a.keep = (cnv_real)(1 - rate * decay);
    a.beta1 = (cnv_real)optimizer->momentum, a.gain1 = (cnv_real)(1 - optimizer->momentum);
    a.beta2 = (cnv_real)optimizer->beta2, a.gain2 = (cnv_real)(1 - optimizer->beta2);
    return a;
}

CNVDEF int cnv_step(cnv_net *net, cnv_optimizer *optimizer)
{
    int i;
    for (i = 0; i < net->param_count; i++) {
        cnv_param *p = &net->params[i];
        double rate = p->rate * optimizer->rate, decay = p->rank > 1 ? optimizer->weight_decay : 0;
        size_t size = cnv_tensor_size(&p->value);
        if (!p->trainable || !p->grad.data) continue;
        if (!cnv__state(&p->value, &p->m)) return 0;
        if (optimizer->method == CNV_ADAM) {
            cnv__adam a = cnv__adam_step(optimizer, rate, decay);
            if (!cnv__state(&p->value, &p->v)) return 0;
            cnv__use()->adam(&a, size, p->grad.data, p->m.data, p->v.data, p->value.data);
        } else {
            cnv__use()->sgd(size, (cnv_real)rate, (cnv_real)optimizer->momentum,
                            (cnv_real)decay, p->grad.data, p->m.data, p->value.data);
        }
        cnv_tensor_fill(&p->grad, 0);
    }
    optimizer->step++;
    cnv_weights_changed(net);
    return 1;
}

/* ==================== 10. Files ==================== */

/* A safetensors file of two tensors, from its first byte to its last:

      byte 0      8                          8+N       +24         +32
           +------+--------------------------+---------+-----------+
           |  N   | {"a": ..., "b": ...}     | bytes   | bytes     |
           | LE64 | JSON, padded with spaces | of "a"  | of "b"    |
           +------+--------------------------+---------+-----------+
                     "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}
                     "b":{"dtype":"F16","shape":[4],"data_offsets":[24,32]}

   Offsets count from the end of the header. No byte may be left over and none may be shared. */

#include <errno.h>

#ifndef CNNVIS_NO_STDIO
#if defined __unix__ || defined __APPLE__
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define CNV__MMAP
#endif
#endif

/* ---- 10.1 A reader for the header's JSON, and only for what a header may hold ---- */

typedef struct {
    const unsigned char *start, *at, *end;
    char *text;         /* where the next string goes: decoding never makes one longer */
    const char *tensor; /* whose entry is being read, for messages */
} cnv__json;

/* Says what is wrong and where; returns 0. */
static int cnv__json_fail(const cnv__json *json, const char *what)
{
    size_t byte = (size_t)(json->at - json->start);
    if (json->tensor)
        return cnv__fail("tensor \"%.80s\": %s at byte %zu of the header", json->tensor, what,
                         byte);
    return cnv__fail("%s at byte %zu of the header", what, byte);
}

static void cnv__json_space(cnv__json *json)
{
    while (json->at < json->end && *json->at && strchr(" \t\r\n", *json->at)) json->at++;
}

/* Steps over white space and, if it is next, over the character c: 1 when it was. */
static int cnv__json_take(cnv__json *json, char c)
{
    cnv__json_space(json);
    if (json->at == json->end || *json->at != (unsigned char)c) return 0;
    json->at++;
    return 1;
}

/* The same where nothing but c will do. */
static int cnv__json_expect(cnv__json *json, char c)
{
    char what[] = "expected ' '";
    what[10] = c;
    return cnv__json_take(json, c) || cnv__json_fail(json, what);
}

/* Length of the UTF-8 character at s, or 0: cut off, overlong, surrogate, or above U+10FFFF. */
static int cnv__utf8_length(const unsigned char *s, const unsigned char *end)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    int i, length = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0;
    uint32_t code = length == 1 ? *s : *s & (0x7Fu >> length);
    if (!length || end - s < length) return 0;
    for (i = 1; i < length; i++) {
        if (s[i] >> 6 != 2) return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    return code < least[length] || code > 0x10FFFF || code >> 11 == 0x1B ? 0 : length;
}

/* Appends a character to json->text as UTF-8. */
static void cnv__json_put(cnv__json *json, uint32_t code)
{
    int shift = code < 0x80 ? 0 : code < 0x800 ? 6 : code < 0x10000 ? 12 : 18;
    uint32_t lead = shift ? 0xF80u >> (shift / 6) & 0xFFu : 0; /* 110..., 1110..., 11110... */
    *json->text++ = (char)(lead | code >> shift);
    while (shift) {
        shift -= 6;
        *json->text++ = (char)(0x80u | (code >> shift & 0x3Fu));
    }
}

/* The 16 bits of the \uXXXX that starts `skip` bytes ahead; 0 where there is none. */
static uint32_t cnv__json_hex(const cnv__json *json, int skip)
{
    uint32_t code = 0;
    int i;
    if (json->end - json->at < skip + 6 || memcmp(json->at + skip, "\\u", 2)) return 0;
    for (i = skip + 2; i < skip + 6; i++) {
        unsigned c = json->at[i], letter = (c | 32u) - 'a';
        if (c - '0' > 9 && letter > 5) return 0;
        code = code << 4 | (c - '0' <= 9 ? c - '0' : letter + 10);
    }
    return code;
}

/* Decodes the escape at json->at. Beyond the basic plane a character takes two: a surrogate pair.
   \u0000 is refused, for names end at their zero. */
static int cnv__json_escape(cnv__json *json)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char letter = json->end - json->at < 2 ? '\0' : (char)json->at[1];
    const char *found = letter ? strchr(from, letter) : NULL;
    uint32_t code = cnv__json_hex(json, 0), low;
    if (found) {
        *json->text++ = to[found - from];
        json->at += 2;
        return 1;
    }
    if (!code) return cnv__json_fail(json, "an escape that does not exist");
    if (code >> 11 == 0x1B) { /* D800 ... DFFF */
        low = cnv__json_hex(json, 6);
        if (code >= 0xDC00 || low >> 10 != 0x37)
            return cnv__json_fail(json, "half a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        json->at += 6;
    }
    cnv__json_put(json, code);
    json->at += 6;
    return 1;
}

/* Reads a string and leaves it decoded and zero-terminated in json->text; NULL with a message. */
static const char *cnv__json_string(cnv__json *json)
{
    const char *string = json->text;
    if (!cnv__json_expect(json, '"')) return NULL;
    while (json->at < json->end && *json->at != '"') {
        int length = cnv__utf8_length(json->at, json->end);
        if (*json->at == '\\') {
            if (!cnv__json_escape(json)) return NULL;
            continue;
        }
        if (!length || *json->at < 32) {
            cnv__json_fail(json, length ? "a control character" : "invalid UTF-8");
            return NULL;
        }
        memcpy(json->text, json->at, (size_t)length);
        json->text += length;
        json->at += length;
    }
    if (!cnv__json_expect(json, '"')) return NULL;
    *json->text++ = '\0';
    return string;
}

/* Reads a whole number >= 0 in plain digits. What follows the digits is the caller's to check. */
static int cnv__json_number(cnv__json *json, size_t *number)
{
    const unsigned char *first;
    cnv__json_space(json);
    *number = 0;
    for (first = json->at; json->at < json->end && *json->at >= '0' && *json->at <= '9';) {
        size_t digit = (size_t)(*json->at++ - '0');
        if (*number > ((size_t)-1 - digit) / 10)
            return cnv__json_fail(json, "a number beyond all memory");
        *number = *number * 10 + digit;
        if (*first == '0') break; /* 0 stands alone: 012 is not JSON */
    }
    return json->at > first || cnv__json_fail(json, "expected a number");
}

/* Reads [a, b, ...] of at most `most` numbers. */
static int cnv__json_numbers(cnv__json *json, size_t *numbers, int most, int *count)
{
    *count = 0;
    if (!cnv__json_expect(json, '[')) return 0;
    if (cnv__json_take(json, ']')) return 1;
    do {
        if (*count == most)
            return cnv__json_fail(json, most == 2 ? "a third offset" : "a ninth dimension");
        if (!cnv__json_number(json, &numbers[(*count)++])) return 0;
    } while (cnv__json_take(json, ','));
    return cnv__json_expect(json, ']');
}

/* ---- 10.2 Safetensors ---- */

enum { CNV__MOST_TENSORS = 65536, CNV__SHAPE_TEXT = 8 * 21 + 8 };

/* By place in the file; of two at one place the shorter first, for it may be empty. */
static int cnv__order_by_place(const void *a, const void *b)
{
    const cnv_safetensor *s = (const cnv_safetensor *)a, *t = (const cnv_safetensor *)b;
    if (s->bytes != t->bytes) return s->bytes < t->bytes ? -1 : 1;
    if (s->byte_count != t->byte_count) return s->byte_count < t->byte_count ? -1 : 1;
    return strcmp(s->name, t->name);
}

static int cnv__order_by_name(const void *a, const void *b)
{
    return strcmp((*(cnv_safetensor *const *)a)->name, (*(cnv_safetensor *const *)b)->name);
}

static int cnv__order_by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Bytes of one number of a type; 0 for types unknown or smaller than a byte. */
static size_t cnv__dtype_bytes(const char *dtype)
{
    static const struct {
        const char *name;
        size_t bytes;
    } known[] = {{"F32", 4},     {"F16", 2}, {"BF16", 2}, {"F64", 8},     {"BOOL", 1},
                 {"U8", 1},      {"I8", 1},  {"I16", 2},  {"U16", 2},     {"I32", 4},
                 {"U32", 4},     {"I64", 8}, {"U64", 8},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                 {"F8_E8M0", 1}, {"C64", 8}};
    size_t i;
    for (i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, dtype)) return known[i].bytes;
    return 0;
}

/* Writes a shape as 64x3x7x7. */
static const char *cnv__shape_text(int rank, const size_t *shape, char *text)
{
    int i, used = 0;
    strcpy(text, "a single number");
    for (i = 0; i < rank; i++) used += snprintf(text + used, 22, "%s%zu", i ? "x" : "", shape[i]);
    return text;
}

/* Reads one field of a tensor's entry into the tensor or the offsets. */
static int cnv__read_field(cnv__json *json, cnv_safetensor *tensor, size_t *offsets, int *seen)
{
    static const char *const fields[3] = {"dtype", "shape", "data_offsets"};
    char *text = json->text;
    const char *key = cnv__json_string(json), *dtype;
    int field = 0, count;
    if (!key || !cnv__json_expect(json, ':')) return 0;
    while (field < 3 && strcmp(key, fields[field])) field++;
    json->text = text; /* keys are not kept */
    if (field == 3) return cnv__json_fail(json, "an unknown field");
    if (seen[field]++) return cnv__json_fail(json, "a field for the second time");
    if (field == 1) return cnv__json_numbers(json, tensor->shape, 8, &tensor->rank);
    if (field == 2) {
        if (!cnv__json_numbers(json, offsets, 2, &count)) return 0;
        return count == 2 || cnv__json_fail(json, "data_offsets without begin and end");
    }
    if (!(dtype = cnv__json_string(json))) return 0;
    json->text = text;
    if (!cnv__dtype_bytes(dtype))
        return cnv__fail("tensor \"%.80s\": unknown dtype \"%.80s\"", tensor->name, dtype);
    strcpy(tensor->dtype, dtype); /* all that are known fit */
    return 1;
}

/* Reads {"dtype":...,"shape":...,"data_offsets":...} and checks it against the file's data. */
static int cnv__read_entry(cnv__json *json, cnv_safetensor *tensor, const unsigned char *data,
                           size_t data_bytes)
{
    int i, seen[3] = {0, 0, 0};
    size_t offsets[2] = {0, 0}, bytes;
    char shape[CNV__SHAPE_TEXT];
    json->tensor = tensor->name;
    if (!cnv__json_expect(json, '{')) return 0;
    if (!cnv__json_take(json, '}')) {
        do {
            if (!cnv__read_field(json, tensor, offsets, seen)) return 0;
        } while (cnv__json_take(json, ','));
        if (!cnv__json_expect(json, '}')) return 0;
    }
    if (!seen[0] || !seen[1] || !seen[2])
        return cnv__json_fail(json, "dtype, shape or data_offsets is missing");
    json->tensor = NULL;
    if (offsets[0] > offsets[1] || offsets[1] > data_bytes)
        return cnv__fail("tensor \"%.80s\": data_offsets [%zu,%zu], but %zu bytes of data%s",
                         tensor->name, offsets[0], offsets[1], data_bytes,
                         offsets[1] > data_bytes ? ": the file seems cut off" : "");
    tensor->bytes = data + offsets[0];
    tensor->byte_count = offsets[1] - offsets[0];
    cnv__shape_text(tensor->rank, tensor->shape, shape);
    bytes = cnv__dtype_bytes(tensor->dtype);
    for (i = 0; i < tensor->rank; i++)
        if (!cnv__multiply(bytes, tensor->shape[i], &bytes))
            return cnv__fail("tensor \"%.80s\": %s of %s is more than memory can hold",
                             tensor->name, tensor->dtype, shape);
    if (bytes != tensor->byte_count)
        return cnv__fail(
            "tensor \"%.80s\": %s of %s takes %zu bytes, but its data_offsets hold %zu",
            tensor->name, tensor->dtype, shape, bytes, tensor->byte_count);
    return 1;
}

/* Reads the object of strings under "__metadata__". */
static int cnv__read_metadata(cnv__json *json, cnv_safetensors *file)
{
    const char *key, *value;
    if (!cnv__json_expect(json, '{')) return 0;
    if (cnv__json_take(json, '}')) return 1;
    do {
        if (file->metadata_count == CNV__MOST_TENSORS)
            return cnv__fail("more than %d entries of metadata", (int)CNV__MOST_TENSORS);
        if (!(key = cnv__json_string(json)) || !cnv__json_expect(json, ':') ||
            !(value = cnv__json_string(json)))
            return 0;
        file->metadata[2 * file->metadata_count] = key;
        file->metadata[2 * file->metadata_count++ + 1] = value;
    } while (cnv__json_take(json, ','));
    return cnv__json_expect(json, '}');
}

/* Reads the whole header. */
static int cnv__read_header(cnv__json *json, cnv_safetensors *file, size_t data_bytes)
{
    int metadata_seen = 0;
    const char *name;
    cnv__json_expect(json, '{');
    if (!cnv__json_take(json, '}')) {
        do {
            if (!(name = cnv__json_string(json)) || !cnv__json_expect(json, ':')) return 0;
            if (!strcmp(name, "__metadata__")) {
                if (metadata_seen++)
                    return cnv__json_fail(json, "__metadata__ for the second time");
                if (!cnv__read_metadata(json, file)) return 0;
                continue;
            }
            if (file->count == CNV__MOST_TENSORS)
                return cnv__fail("more than %d tensors", (int)CNV__MOST_TENSORS);
            file->tensors[file->count].name = name;
            if (!cnv__read_entry(json, &file->tensors[file->count++], json->end, data_bytes))
                return 0;
        } while (cnv__json_take(json, ','));
        if (!cnv__json_expect(json, '}')) return 0;
    }
    cnv__json_space(json); /* the padding */
    return json->at == json->end || cnv__json_fail(json, "something after the closing brace");
}

/* Sorts the tensors by place: each must begin where the one before it ends. */
static int cnv__check_places(cnv_safetensors *file, const unsigned char *data, size_t data_bytes)
{
    size_t begin, end = 0;
    int i;
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, cnv__order_by_place);
    for (i = 0; i < file->count; i++) {
        const cnv_safetensor *t = &file->tensors[i];
        begin = (size_t)(t->bytes - data);
        if (begin < end)
            return cnv__fail("tensor \"%.80s\" begins at %zu, inside \"%.80s\", which ends at %zu",
                             t->name, begin, t[-1].name, end);
        if (begin > end)
            return cnv__fail("tensor \"%.80s\" begins at %zu, leaving a hole from %zu", t->name,
                             begin, end);
        end += t->byte_count;
    }
    if (end == data_bytes) return 1;
    return cnv__fail("the tensors end at %zu, the file's data only at %zu", end, data_bytes);
}

/* Sorts names and keys, for finding them, and refuses duplicates. */
static int cnv__check_names(cnv_safetensors *file)
{
    cnv_safetensor **by_name = (cnv_safetensor **)file->memory;
    int i;
    for (i = 0; i < file->count; i++) by_name[i] = &file->tensors[i];
    qsort(by_name, (size_t)file->count, sizeof *by_name, cnv__order_by_name);
    for (i = 1; i < file->count; i++)
        if (!strcmp(by_name[i]->name, by_name[i - 1]->name))
            return cnv__fail("two tensors are named \"%.80s\"", by_name[i]->name);
    qsort(file->metadata, (size_t)file->metadata_count, 2 * sizeof *file->metadata,
              cnv__order_by_key);
    for (i = 1; i < file->metadata_count; i++)
        if (!strcmp(file->metadata[2 * i], file->metadata[2 * i - 2]))
            return cnv__fail("two entries of metadata are named \"%.80s\"", file->metadata[2 * i]);
    return 1;
}

/* Room for all that a header of N bytes can describe, in one piece: tensors in the order of their
   names, tensors, metadata, *text. A tensor opens a brace, a key of metadata is followed by a
   colon. */
static cnv_safetensors *cnv__safetensors_new(const unsigned char *header, size_t bytes, char **text)
{
    cnv_safetensors *file = (cnv_safetensors *)cnv__allocate(1, sizeof *file);
    size_t tensors = 0, pairs = 0, table, i;
    if (!file) return NULL;
    for (i = 0; i < bytes; i++) {
        tensors += header[i] == '{' && tensors < CNV__MOST_TENSORS;
        pairs += header[i] == ':' && pairs < CNV__MOST_TENSORS;
    }
    memset(file, 0, sizeof *file);
    table = tensors * (sizeof(cnv_safetensor *) + sizeof(cnv_safetensor));
    table += pairs * 2 * sizeof(char *);
    file->memory = cnv__allocate(1, table + bytes);
    if (!file->memory) {
        CNNVIS_FREE(file);
        return NULL;
    }
    memset(file->memory, 0, table);
    file->tensors = (cnv_safetensor *)((cnv_safetensor **)file->memory + tensors);
    file->metadata = (const char **)(file->tensors + tensors);
    *text = (char *)file->memory + table;
    return file;
}

/* N, the length of the header, or 0 with a message. */
static size_t cnv__header_bytes(const unsigned char *start, size_t count)
{
    uint64_t bytes = 0;
    int i;
    if (count < 8) return (size_t)cnv__fail("not a safetensors file: it has %zu bytes", count);
    for (i = 7; i >= 0; i--) bytes = bytes << 8 | start[i];
    if (bytes > 100000000)
        return (size_t)cnv__fail(
            "not a safetensors file: a header of %.0f bytes is above 100000000", (double)bytes);
    if (bytes > count - 8)
        return (size_t)cnv__fail("cut off: a header of %.0f bytes in a file of %zu", (double)bytes,
                                 count);
    if (!bytes || start[8] != '{')
        return (size_t)cnv__fail("not a safetensors file: no '{' begins the header");
    return (size_t)bytes;
}

CNVDEF void cnv_safetensors_close(cnv_safetensors *file)
{
    if (!file) return;
#ifdef CNV__MMAP
    if (file->mapped) munmap(file->map, file->map_bytes);
#endif
    if (!file->mapped) CNNVIS_FREE(file->map);
    CNNVIS_FREE(file->memory);
    CNNVIS_FREE(file);
}

CNVDEF cnv_safetensors *cnv_safetensors_parse(const void *bytes, size_t count)
{
    const unsigned char *start = (const unsigned char *)bytes;
    size_t length = cnv__header_bytes(start, count), data_bytes;
    cnv__json json;
    cnv_safetensors *file = length ? cnv__safetensors_new(start + 8, length, &json.text) : NULL;
    if (!file) return NULL;
    json.start = json.at = start + 8;
    json.end = json.start + length;
    json.tensor = NULL;
    data_bytes = count - 8 - length;
    if (!cnv__read_header(&json, file, data_bytes) ||
        !cnv__check_places(file, json.end, data_bytes) || !cnv__check_names(file)) {
        cnv_safetensors_close(file);
        return NULL;
    }
    return file;
}

CNVDEF const cnv_safetensor *cnv_safetensors_find(const cnv_safetensors *file, const char *name)
{
    cnv_safetensor *const *by_name = (cnv_safetensor *const *)file->memory;
    int low = 0, high = file->count;
    while (low < high) { /* name is at low or beyond, but before high */
        int middle = (low + high) / 2, order = strcmp(name, by_name[middle]->name);
        if (order == 0) return by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    cnv__fail("no tensor is named \"%.80s\"", name);
    return NULL;
}

CNVDEF const char *cnv_safetensors_metadata(const cnv_safetensors *file, const char *key)
{
    int i;
    for (i = 0; i < file->metadata_count; i++)
        if (!strcmp(file->metadata[2 * i], key)) return file->metadata[2 * i + 1];
    cnv__fail("no metadata is named \"%.80s\"", key);
    return NULL;
}

static float cnv__float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Half precision: 1 sign, 5 exponent and 10 mantissa bits. A float has every such number. */
static float cnv__float_from_half(uint32_t half)
{
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3FF;
    if (exponent == 0) return (float)mantissa / (sign ? -16777216.0f : 16777216.0f); /* / 2^24 */
    if (exponent == 31) return cnv__float_from_bits(sign | 0x7F800000 | mantissa << 13);
    return cnv__float_from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

/* One number of `size` little-endian bytes, which tell the type but for F16 and BF16. */
static cnv_real cnv__number(const unsigned char *bytes, size_t size, int brain)
{
    uint64_t bits = 0;
    size_t i;
    double wide;
    for (i = size; i-- > 0;) bits = bits << 8 | bytes[i];
    if (size == 2 && brain) return (cnv_real)cnv__float_from_bits((uint32_t)bits << 16);
    if (size == 2) return (cnv_real)cnv__float_from_half((uint32_t)bits);
    if (size == 4) return (cnv_real)cnv__float_from_bits((uint32_t)bits);
    memcpy(&wide, &bits, sizeof wide);
    return (cnv_real)wide;
}

CNVDEF int cnv_safetensor_read(const cnv_safetensor *tensor, cnv_real *values, size_t count)
{
    const char *dtype = tensor->dtype;
    size_t size = cnv__dtype_bytes(dtype), i;
    if (strcmp(dtype, "F32") && strcmp(dtype, "F16") && strcmp(dtype, "BF16") &&
        strcmp(dtype, "F64"))
        return cnv__fail("tensor \"%.80s\" is of type %s; F32, F16, BF16 and F64 can be read",
                         tensor->name, dtype);
    if (tensor->byte_count / size != count)
        return cnv__fail("tensor \"%.80s\" has %zu numbers, not %zu", tensor->name,
                         tensor->byte_count / size, count);
    for (i = 0; i < count; i++)
        values[i] = cnv__number(tensor->bytes + i * size, size, dtype[0] == 'B');
    return 1;
}

/* ---- 10.3 Weights ---- */

/* The shape that a parameter has in files: [n,c,h,w], [n,c], or [c]. */
static void cnv__param_shape(const cnv_param *param, size_t shape[4])
{
    const cnv_tensor *t = &param->value;
    shape[0] = (size_t)(param->rank == 1 ? t->c : t->n);
    shape[1] = (size_t)t->c, shape[2] = (size_t)t->h, shape[3] = (size_t)t->w;
}

/* A linear layer's inputs may be told apart in the file: [out,C,H,W] will do for [out,in]. */
static int cnv__has_shape(const cnv_safetensor *tensor, const cnv_param *param)
{
    size_t shape[4], inputs = 1;
    int i;
    cnv__param_shape(param, shape);
    for (i = 1; i < tensor->rank; i++) inputs *= tensor->shape[i];
    if (param->rank == 2 && tensor->rank == 4)
        return tensor->shape[0] == shape[0] && inputs == shape[1];
    return tensor->rank == param->rank &&
           !memcmp(tensor->shape, shape, (size_t)param->rank * sizeof *shape);
}

/* What does not match between a file and a network. */
typedef struct {
    int missing, misshapen, unused;                   /* how many */
    const cnv_param *first_missing, *first_misshapen; /* and which first */
    const cnv_safetensor *first_unused;
} cnv__mismatch;

static int cnv__compare_weights(const cnv_net *net, const cnv_safetensors *file,
                                cnv__mismatch *found)
{
    char *used = (char *)cnv__allocate((size_t)file->count, 1);
    int i;
    if (!used) return 0;
    memset(used, 0, (size_t)file->count);
    memset(found, 0, sizeof *found);
    for (i = 0; i < net->param_count; i++) {
        const cnv_param *param = &net->params[i];
        const cnv_safetensor *tensor = cnv_safetensors_find(file, param->name);
        if (tensor) used[tensor - file->tensors] = 1;
        if (!tensor && !found->missing++) found->first_missing = param;
        if (tensor && !cnv__has_shape(tensor, param) && !found->misshapen++)
            found->first_misshapen = param;
    }
    for (i = 0; i < file->count; i++)
        if (!used[i] && !found->unused++) found->first_unused = &file->tensors[i];
    CNNVIS_FREE(used);
    return 1;
}

/* Puts all that does not match into one sentence. */
static int cnv__fail_mismatch(const cnv_net *net, const cnv_safetensors *file,
                              const cnv__mismatch *found)
{
    char missing[160] = "", misshapen[360] = "", unused[160] = "";
    char has[CNV__SHAPE_TEXT], wants[CNV__SHAPE_TEXT];
    const cnv_param *param = found->first_misshapen;
    size_t shape[4];
    if (found->missing)
        snprintf(missing, sizeof missing, "%d of %d parameters %s missing (first \"%s\")",
                 found->missing, net->param_count, found->missing == 1 ? "is" : "are",
                 found->first_missing->name);
    if (param) {
        const cnv_safetensor *tensor = cnv_safetensors_find(file, param->name);
        cnv__param_shape(param, shape);
        snprintf(misshapen, sizeof misshapen,
                 "%s%d %s another shape (first \"%s\": the file has %.90s, the network wants %s)",
                 found->missing ? ", " : "", found->misshapen,
                 found->misshapen == 1 ? "has" : "have", param->name,
                 cnv__shape_text(tensor->rank, tensor->shape, has),
                 cnv__shape_text(param->rank, shape, wants));
    }
    if (found->unused)
        snprintf(unused, sizeof unused, ", %d %s no place in the network (first \"%.80s\")",
                 found->unused, found->unused == 1 ? "tensor has" : "tensors have",
                 found->first_unused->name);
    return cnv__fail("%s%s%s", missing, misshapen, unused);
}

/* The tensor for a parameter, new: converted, or with `keep` a view of the file's memory where
   that holds floats as this machine has them. */
static int cnv__weights_from_file(const cnv_param *param, const cnv_safetensors *file, int keep,
                                  cnv_tensor *weights)
{
    const cnv_tensor *t = &param->value;
    const cnv_safetensor *tensor = cnv_safetensors_find(file, param->name);
    size_t offset = keep ? (size_t)(tensor->bytes - (const unsigned char *)file->map) : 0;
    void *place = keep ? (unsigned char *)file->map + offset : NULL;
    static const uint16_t one = 1;
    unsigned char little_endian;
    memcpy(&little_endian, &one, 1);
    memset(weights, 0, sizeof *weights);
    if (keep && little_endian && !strcmp(tensor->dtype, "F32") &&
        sizeof(cnv_real) == sizeof(float) && (uintptr_t)place % sizeof(float) == 0) {
        *weights = cnv_tensor_view((cnv_real *)place, t->n, t->c, t->h, t->w);
        return 1;
    }
    return cnv_tensor_resize(weights, t->n, t->c, t->h, t->w) &&
           cnv_safetensor_read(tensor, weights->data, cnv_tensor_size(weights));
}

/* Loads all weights or none. With `keep` (which is then the file) weights may become views of the
   file's memory, and the network takes the file. */
static int cnv__load(cnv_net *net, const cnv_safetensors *file, cnv_safetensors *keep)
{
    cnv__mismatch found;
    cnv_tensor *fresh;
    size_t count = (size_t)net->param_count;
    int i, loaded = 0;
    if (net->broken) return cnv__fail("%s", net->message);
    if (!cnv__compare_weights(net, file, &found)) return 0;
    if (found.missing || found.misshapen) return cnv__fail_mismatch(net, file, &found);
    if (!(fresh = (cnv_tensor *)cnv__allocate(count, sizeof *fresh))) return 0;
    memset(fresh, 0, count * sizeof *fresh);
    while (loaded < net->param_count &&
           cnv__weights_from_file(&net->params[loaded], file, keep != NULL, &fresh[loaded]))
        loaded++;
    for (i = 0; i < net->param_count; i++) { /* what is not wanted any more: the new or the old */
        cnv_tensor_free(loaded < net->param_count ? &fresh[i] : &net->params[i].value);
        if (loaded == net->param_count) net->params[i].value = fresh[i];
    }
    CNNVIS_FREE(fresh);
    if (loaded < net->param_count) return 0;
    if (net->file != file) cnv_safetensors_close(net->file); /* no weight points into it any more */
    if (net->file != file || keep) net->file = keep;
    net->unused_tensors = found.unused;
    cnv_weights_changed(net);
    net->loaded = net->version;
    return 1;
}

/* Lets go of the pages that hold nothing but a layer's mapped weights. They are still in the file;
   what was written into them would be lost. (Not those of norms: training moves their statistics,
   and tells nobody.) */
static void cnv__give_back(const cnv_net *net, const cnv_node *node)
{
#if defined CNV__MMAP && defined MADV_DONTNEED
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    int i, layer = node->op == CNV_CONV2D || node->op == CNV_LINEAR;
    if (!net->frugal || !layer || !net->file || !net->file->mapped) return;
    for (i = 0; i < (net->version == net->loaded ? node->params : 0); i++) {
        const cnv_tensor *value = &net->params[node->param[i]].value;
        uintptr_t from = (uintptr_t)value->data, to = from + cnv_tensor_size(value) * sizeof(float);
        uintptr_t map = (uintptr_t)net->file->map;
        if (from < map || to > map + net->file->map_bytes) continue; /* a copy */
        from = (from + page - 1) / page * page, to = to / page * page;
        if (from < to) madvise((void *)from, (size_t)(to - from), MADV_DONTNEED);
    }
#else
    (void)net, (void)node;
#endif
}

CNVDEF int cnv_load_parsed(cnv_net *net, const cnv_safetensors *file)
{
    return cnv__load(net, file, NULL);
}

/* ---- 10.4 PNM pictures ----

   "P6 # a comment\n640 480\n255\n" and then 640*480*3 bytes; P5: gray. With numbers in place of
   bytes: P3, P2. Above 255 a sample takes two bytes, the greater first. */

typedef struct {
    const unsigned char *at, *end;
    int kind, width, height, channels, most; /* kind: 2, 3, 5 or 6; most: what white is called */
} cnv__pnm;

static int cnv__pnm_is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Steps over white space and comments, which run from a # to the end of the line. */
static void cnv__pnm_space(cnv__pnm *pnm)
{
    int comment = 0;
    for (; pnm->at < pnm->end; pnm->at++) {
        unsigned char c = *pnm->at;
        if (c == '#') comment = 1;
        if (c == '\n' || c == '\r') comment = 0;
        if (!comment && !cnv__pnm_is_space(c)) return;
    }
}

/* Reads a number 0 ... most. White space, a comment or the end of the file must follow it. */
static int cnv__pnm_number(cnv__pnm *pnm, const char *what, int most, int *number)
{
    const unsigned char *first;
    *number = 0;
    cnv__pnm_space(pnm);
    for (first = pnm->at; pnm->at < pnm->end && *pnm->at >= '0' && *pnm->at <= '9'; pnm->at++) {
        int digit = *pnm->at - '0';
        if (digit > most || *number > (most - digit) / 10)
            return cnv__fail("PNM picture: a %s above %d", what, most);
        *number = *number * 10 + digit;
    }
    if (first == pnm->end) return cnv__fail("PNM picture: cut off before a %s", what);
    if (first == pnm->at || (pnm->at < pnm->end && *pnm->at != '#' && !cnv__pnm_is_space(*pnm->at)))
        return cnv__fail("PNM picture: a %s that is no number", what);
    return 1;
}

/* Is it P2, P3, P5 or P6? */
static int cnv__is_pnm(const unsigned char *bytes, size_t count)
{
    return count > 2 && bytes[0] == 'P' && bytes[1] && strchr("2356", bytes[1]) &&
           (bytes[2] == '#' || cnv__pnm_is_space(bytes[2]));
}

/* Reads everything before the samples, and makes sure that they are there. */
static int cnv__pnm_header(cnv__pnm *pnm)
{
    size_t bytes, there;
    if (!cnv__is_pnm(pnm->at, (size_t)(pnm->end - pnm->at)))
        return cnv__fail("not a PNM picture: it begins with none of P2, P3, P5, P6");
    pnm->kind = pnm->at[1] - '0';
    pnm->channels = pnm->kind == 3 || pnm->kind == 6 ? 3 : 1;
    pnm->at += 2;
    if (!cnv__pnm_number(pnm, "width", INT_MAX, &pnm->width) ||
        !cnv__pnm_number(pnm, "height", INT_MAX, &pnm->height) ||
        !cnv__pnm_number(pnm, "maximum", 65535, &pnm->most))
        return 0;
    if (!pnm->width || !pnm->height || !pnm->most)
        return cnv__fail("PNM picture: %d x %d pixels with maximum %d", pnm->width, pnm->height,
                         pnm->most);
    if (pnm->kind >= 5) { /* one white space, or a comment and the end of its line */
        if (pnm->at < pnm->end && *pnm->at == '#')
            while (pnm->at < pnm->end && *pnm->at != '\n' && *pnm->at != '\r') pnm->at++;
        if (pnm->at < pnm->end) pnm->at++;
    }
    there = (size_t)(pnm->end - pnm->at) + (pnm->kind < 5); /* "1 2 3": the last needs no space */
    bytes = (size_t)pnm->channels * (pnm->kind < 5 || pnm->most > 255 ? 2 : 1);
    if (!cnv__multiply(bytes, (size_t)pnm->width, &bytes) ||
        !cnv__multiply(bytes, (size_t)pnm->height, &bytes) || bytes > there)
        return cnv__fail("PNM picture: cut off: %zu bytes cannot hold %d x %d pixels", there,
                         pnm->width, pnm->height);
    return 1;
}

/* Reads the next sample, 0 ... most. */
static int cnv__pnm_sample(cnv__pnm *pnm, int *sample)
{
    if (pnm->kind < 5) return cnv__pnm_number(pnm, "sample", pnm->most, sample);
    *sample = *pnm->at++;
    if (pnm->most > 255) *sample = *sample << 8 | *pnm->at++;
    if (*sample <= pnm->most) return 1;
    return cnv__fail("PNM picture: a sample above %d", pnm->most);
}

CNVDEF int cnv_pnm_decode(const void *bytes, size_t count, cnv_tensor *image)
{
    cnv__pnm pnm, checked;
    size_t i, pixels, channels;
    int sample;
    pnm.at = (const unsigned char *)bytes;
    pnm.end = pnm.at + count;
    if (!cnv__pnm_header(&pnm)) return 0;
    channels = (size_t)pnm.channels;
    pixels = (size_t)pnm.width * (size_t)pnm.height;
    checked = pnm;
    for (i = 0; i < pixels * channels; i++) /* once to see, so that a bad picture changes nothing */
        if (!cnv__pnm_sample(&checked, &sample)) return 0;
    if (!cnv_tensor_resize(image, 1, pnm.channels, pnm.height, pnm.width)) return 0;
    for (i = 0; i < pixels * channels && cnv__pnm_sample(&pnm, &sample); i++)
        image->data[i % channels * pixels + i / channels] = (cnv_real)sample / (cnv_real)pnm.most;
    return 1;
}

#ifndef CNNVIS_NO_STDIO

/* ---- 10.5 Reading files ---- */

/* Puts the path before the message; returns 0. */
static int cnv__fail_in(const char *path)
{
    char message[sizeof cnv__message];
    memcpy(message, cnv__message, sizeof message);
    return cnv__fail("\"%.200s\": %s", path, message);
}

/* The contents of a file, or of anything that can be read to its end; NULL with a message. */
static void *cnv__read_file(const char *path, size_t *count)
{
    FILE *stream = fopen(path, "rb");
    size_t capacity = 1 << 16;
    unsigned char *bytes = NULL, *more;
    int error = stream ? 0 : errno, whole = 0;
    *count = 0;
    while (!error && !whole) {
        more = (unsigned char *)CNNVIS_REALLOC(bytes, capacity);
        if (more) {
            bytes = more;
            *count += fread(bytes + *count, 1, capacity - *count, stream);
        }
        error = !more ? ENOMEM : ferror(stream) ? errno : 0;
        whole = *count < capacity;
        capacity *= 2; /* long before this overflows, there is no memory */
    }
    if (stream) fclose(stream);
    if (!error) return bytes;
    cnv__fail("cannot read \"%.200s\": %s", path, strerror(error));
    CNNVIS_FREE(bytes);
    return NULL;
}

/* Maps a regular file, so that its bytes come from the disk when they are first looked at, and
   pages that are written to become copies; NULL where that cannot be done. */
static void *cnv__map_file(const char *path, size_t *count)
{
    void *map = NULL;
#ifdef CNV__MMAP
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0) return NULL;
    if (!fstat(descriptor, &about) && S_ISREG(about.st_mode) && about.st_size > 0 &&
        (uint64_t)about.st_size < PTRDIFF_MAX) {
        *count = (size_t)about.st_size;
        map = mmap(NULL, *count, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
        if (map == MAP_FAILED) map = NULL;
    }
    close(descriptor); /* the map stays */
#else
    (void)path, (void)count;
#endif
    return map;
}

CNVDEF cnv_safetensors *cnv_safetensors_open(const char *path)
{
    size_t count = 0;
    void *map = cnv__map_file(path, &count), *bytes = map ? map : cnv__read_file(path, &count);
    cnv_safetensors *file = bytes ? cnv_safetensors_parse(bytes, count) : NULL;
    if (file) {
        file->map = bytes;
        file->map_bytes = count;
        file->mapped = map != NULL;
        return file;
    }
    if (bytes) cnv__fail_in(path);
#ifdef CNV__MMAP
    if (map) munmap(map, count);
#endif
    if (!map) CNNVIS_FREE(bytes);
    return NULL;
}

CNVDEF int cnv_load(cnv_net *net, const char *path)
{
    cnv_safetensors *file;
    if (net->broken) return cnv__fail("%s", net->message);
    if (!(file = cnv_safetensors_open(path))) return 0;
    if (cnv__load(net, file, file)) return 1;
    cnv_safetensors_close(file);
    return cnv__fail_in(path);
}

#ifdef STBI_VERSION /* stb_image.h was included before: it reads JPEG, PNG and more */

static int cnv__decode_other(const char *path, const void *bytes, size_t count, cnv_tensor *image)
{
    const unsigned char *start = (const unsigned char *)bytes;
    int w = 0, h = 0, in_file = 0, bytes_in = count < INT_MAX ? (int)count : 0, shaped;
    size_t i, plane, channels;
    unsigned char *pixels = NULL;
    if (stbi_info_from_memory(start, bytes_in, &w, &h, &in_file))
        pixels = stbi_load_from_memory(start, bytes_in, &w, &h, &in_file, in_file < 3 ? 1 : 3);
    if (!pixels) return cnv__fail("stb_image.h cannot read \"%.200s\"", path);
    channels = in_file < 3 ? 1 : 3; /* transparency is dropped */
    plane = (size_t)w * (size_t)h;
    shaped = cnv_tensor_resize(image, 1, (int)channels, h, w);
    for (i = 0; shaped && i < plane * channels; i++)
        image->data[i % channels * plane + i / channels] = (cnv_real)pixels[i] / 255;
    stbi_image_free(pixels);
    return shaped;
}

#else

static int cnv__decode_other(const char *path, const void *bytes, size_t count, cnv_tensor *image)
{
    (void)bytes, (void)count, (void)image;
    return cnv__fail("\"%.150s\" is not a PNM picture: convert it (convert cat.jpg cat.ppm) or "
                     "include stb_image.h before cnnvis.h",
                     path);
}

#endif

CNVDEF int cnv_image_load(const char *path, cnv_tensor *image)
{
    size_t count;
    void *bytes = cnv__read_file(path, &count);
    int loaded;
    if (!bytes) return 0;
    if (!cnv__is_pnm((const unsigned char *)bytes, count))
        loaded = cnv__decode_other(path, bytes, count, image);
    else
        loaded = cnv_pnm_decode(bytes, count, image) || cnv__fail_in(path);
    CNNVIS_FREE(bytes);
    return loaded;
}

/* ---- 10.6 Writing files ---- */

/* A file on its way: it is written beside its place and moved there when it is whole. */
typedef struct {
    const char *path;
    char *temporary;
    FILE *stream; /* write to it; whether that went well is asked at the end */
} cnv__output;

static int cnv__output_begin(cnv__output *output, const char *path)
{
    size_t length = strlen(path);
#ifdef CNV__MMAP
    struct stat about;
    if (!stat(path, &about) && !S_ISREG(about.st_mode))
        return cnv__fail("cannot write \"%.200s\": not a regular file", path); /* a device */
#endif
    output->path = path;
    output->temporary = (char *)cnv__allocate(length + 5, 1);
    if (!output->temporary) return 0;
    memcpy(output->temporary, path, length);
    memcpy(output->temporary + length, ".tmp", 5);
    output->stream = fopen(output->temporary, "wb");
    if (output->stream) return 1;
    cnv__fail("cannot write \"%.200s\": %s", output->temporary, strerror(errno));
    CNNVIS_FREE(output->temporary);
    return 0;
}

/* Finishes: the file is in its place, or nothing is. good == 0: the caller failed, and said so. */
static int cnv__output_end(cnv__output *output, int good)
{
    int failed = ferror(output->stream), error = errno;
    if (fflush(output->stream) && !failed) failed = 1, error = errno;
    if (fclose(output->stream) && !failed) failed = 1, error = errno;
#ifdef _WIN32
    if (!failed && good) remove(output->path); /* where rename does not replace */
#endif
    if (!failed && good && rename(output->temporary, output->path)) failed = 1, error = errno;
    if (failed) cnv__fail("cannot write \"%.200s\": %s", output->path, strerror(error));
    if (failed || !good) remove(output->temporary);
    CNNVIS_FREE(output->temporary);
    return !failed && good;
}

/* Writes a string as JSON has it: quotes, backslashes and control characters escaped. */
static void cnv__write_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < 32)
            fprintf(stream, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, stream);
    fputc('"', stream);
}

/* Writes a number, little endian. */
static void cnv__write_number(FILE *stream, uint64_t number, size_t bytes)
{
    unsigned char little[8];
    size_t i;
    for (i = 0; i < bytes; i++, number >>= 8) little[i] = (unsigned char)(number & 255);
    fwrite(little, 1, bytes, stream);
}

static void cnv__write_floats(FILE *stream, const cnv_tensor *t)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) {
        float value = (float)t->data[i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        cnv__write_number(stream, bits, sizeof bits);
    }
}

/* Writes the JSON that says what the parameters are and where. */
static void cnv__write_header(FILE *stream, const cnv_net *net, const char *const *metadata)
{
    size_t shape[4], begin = 0, end;
    int i, k;
    fputc('{', stream);
    for (i = 0; metadata && metadata[i]; i++) {
        fputs(i == 0 ? "\"__metadata__\":{" : i % 2 ? ":" : ",", stream);
        cnv__write_string(stream, metadata[i]);
    }
    if (i) fputs(net->param_count ? "}," : "}", stream);
    for (i = 0; i < net->param_count; i++, begin = end) {
        const cnv_param *param = &net->params[i];
        end = begin + 4 * cnv_tensor_size(&param->value);
        cnv__param_shape(param, shape);
        cnv__write_string(stream, param->name);
        fputs(":{\"dtype\":\"F32\",\"shape\":[", stream);
        for (k = 0; k < param->rank; k++) fprintf(stream, k ? ",%zu" : "%zu", shape[k]);
        fprintf(stream, "],\"data_offsets\":[%zu,%zu]}", begin, end);
        if (i + 1 < net->param_count) fputc(',', stream);
    }
    fputc('}', stream);
}

/* What was written is read before it takes its place: a name twice, or one that is not UTF-8, makes
   no weight file. (Weights may be mapped from the very file that is replaced: a map keeps it
   alive.) */
CNVDEF int cnv_save(const cnv_net *net, const char *path, const char *const *metadata)
{
    cnv__output output;
    cnv_safetensors *written = NULL;
    long header;
    int i, whole;
    if (net->broken) return cnv__fail("%s", net->message);
    if (!cnv__output_begin(&output, path)) return 0;
    cnv__write_number(output.stream, 0, 8); /* the header's length, which is known below */
    cnv__write_header(output.stream, net, metadata);
    while ((header = ftell(output.stream)) % 8 > 0) fputc(' ', output.stream);
    for (i = 0; i < net->param_count; i++) cnv__write_floats(output.stream, &net->params[i].value);
    whole = !fseek(output.stream, 0, SEEK_SET);
    cnv__write_number(output.stream, (uint64_t)(header - 8), 8);
    whole = !fflush(output.stream) && whole && !ferror(output.stream);
    if (!whole)
        cnv__fail("cannot write \"%.200s\": %s", path, strerror(errno));
    else
        written = cnv_safetensors_open(output.temporary);
    cnv_safetensors_close(written);
    return cnv__output_end(&output, written != NULL);
}

CNVDEF int cnv_safetensors_save(const char *path, const char *const *names,
                                const cnv_tensor *tensors, int count, const char *const *metadata)
{
    cnv_net net; /* as if the tensors were a network's parameters */
    int i, ok = 1;
    memset(&net, 0, sizeof net);
    net.params = (cnv_param *)cnv__allocate((size_t)(count > 0 ? count : 1), sizeof *net.params);
    if (!net.params) return 0;
    for (i = 0; ok && i < count; i++) {
        cnv_param *param = &net.params[net.param_count++];
        memset(param, 0, sizeof *param);
        param->rank = 4, param->value = tensors[i];
        if (strlen(names[i]) >= CNV_NAME_SIZE || !tensors[i].data)
            ok = cnv__fail("\"%.200s\": the tensor \"%.100s\" %s", path, names[i], tensors[i].data
                           ? "has too long a name" : "is empty");
        else
            strcpy(param->name, names[i]);
    }
    ok = ok && cnv_save(&net, path, metadata);
    CNNVIS_FREE(net.params);
    return ok;
}

/* ---- 10.7 Saving pictures ---- */

/* PNG is stb_image_write.h's work. If your file uses it too, include it before cnnvis.h. */
#ifndef INCLUDE_STB_IMAGE_WRITE_H
#ifdef __has_include
#if __has_include(<stb/stb_image_write.h>)
#define CNV__STB_IMAGE_WRITE <stb/stb_image_write.h>
#elif __has_include(<stb_image_write.h>)
#define CNV__STB_IMAGE_WRITE <stb_image_write.h>
#endif
#endif
#ifdef CNV__STB_IMAGE_WRITE
#define STB_IMAGE_WRITE_STATIC /* so that another source file may have its own */
#define STB_IMAGE_WRITE_IMPLEMENTATION
#ifdef __GNUC__ /* little of it is used */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include CNV__STB_IMAGE_WRITE
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
#undef STB_IMAGE_WRITE_STATIC
#undef STB_IMAGE_WRITE_IMPLEMENTATION
#endif
#endif

#ifdef INCLUDE_STB_IMAGE_WRITE_H

static void cnv__png_bytes(void *stream, void *bytes, int count)
{
    fwrite(bytes, 1, (size_t)count, (FILE *)stream);
}

/* bytes [h][w][channels] */
static int cnv__write_png(FILE *stream, int w, int h, int channels, const unsigned char *bytes)
{
    if ((double)w * h * channels + h > INT_MAX / 4.0) /* beyond, stb's ints would overflow */
        return cnv__fail("%d x %d pixels are too many for a PNG: save as .ppm", w, h);
#ifdef CNV__STB_IMAGE_WRITE /* else the level is the caller's */
    stbi_write_png_compression_level = 5; /* 1% larger than stb's 8, in two thirds of the time */
#endif
    return stbi_write_png_to_func(cnv__png_bytes, stream, w, h, channels, bytes, 0) ||
           cnv__fail("out of memory for a PNG of %d x %d", w, h);
}

#else

static int cnv__write_png(FILE *stream, int w, int h, int channels, const unsigned char *bytes)
{
    (void)stream, (void)w, (void)h, (void)channels, (void)bytes;
    return cnv__fail("stb_image_write.h was not there when this program was compiled (Debian: apt "
                     "install libstb-dev, macOS: brew install stb); .ppm always works");
}

#endif

static int cnv__write_pnm(FILE *stream, int w, int h, int channels, const unsigned char *bytes)
{
    fprintf(stream, "P%d\n%d %d\n255\n", channels == 3 ? 6 : 5, w, h);
    fwrite(bytes, 1, (size_t)w * (size_t)h * (size_t)channels, stream);
    return 1;
}

/* Does the path end so, in small or capital letters? */
static int cnv__ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), i;
    if (length < 4) return 0;
    for (i = 0; i < 4 && (path[length - 4 + i] | 32) == (ending[i] | 32);) i++;
    return i == 4;
}

/* Numbers in [0,1] to bytes [h][w][channels]; gray may become RGB. NaN becomes 0. */
static unsigned char *cnv__image_bytes(const cnv_tensor *image, size_t channels)
{
    size_t plane = (size_t)image->h * (size_t)image->w, i, k;
    unsigned char *bytes = (unsigned char *)cnv__allocate(plane, channels);
    if (!bytes) return NULL;
    for (k = 0; k < channels; k++)
        for (i = 0; i < plane; i++) {
            cnv_real value = image->data[(image->c == 1 ? 0 : k) * plane + i];
            if (!(value > 0)) value = 0;
            if (value > 1) value = 1;
            bytes[i * channels + k] = (unsigned char)(value * 255 + (cnv_real)0.5);
        }
    return bytes;
}

CNVDEF int cnv_image_save(const char *path, const cnv_tensor *image)
{
    int png = cnv__ends_in(path, ".png"), ppm = cnv__ends_in(path, ".ppm");
    int channels = ppm ? 3 : image->c, saved;
    cnv__output output;
    unsigned char *bytes;
    if (!png && !ppm && !cnv__ends_in(path, ".pgm"))
        return cnv__fail("\"%.200s\" ends in none of .png, .ppm, .pgm", path);
    if (image->n != 1 || (image->c != 1 && image->c != 3) || image->h < 1 || image->w < 1)
        return cnv__fail("\"%.200s\": a tensor of %d x %d x %d x %d is not a picture", path,
                         image->n, image->c, image->h, image->w);
    if (!png && !ppm && image->c == 3)
        return cnv__fail("\"%.200s\": a .pgm is gray, save colours as .ppm or .png", path);
    if (!(bytes = cnv__image_bytes(image, (size_t)channels))) return 0;
    saved = cnv__output_begin(&output, path);
    if (saved) {
        saved = (png ? cnv__write_png : cnv__write_pnm)(output.stream, image->w, image->h, channels,
                                                        bytes);
        saved = cnv__output_end(&output, saved || cnv__fail_in(path));
    }
    CNNVIS_FREE(bytes);
    return saved;
}

#endif /* CNNVIS_NO_STDIO */
/* ==================== 11. Pictures ==================== */

/* v within [low, high]; NaN gives low. */
static double cnv__clamp(double v, double low, double high)
{
    return v > low ? (v < high ? v : high) : low;
}

/* Neither infinite nor NaN. */
static int cnv__is_finite(double v) { return v - v == 0; }

/* What a colour weighs on a gray picture (ITU-R BT.601). */
static double cnv__luminance(double r, double g, double b)
{
    return 0.299 * r + 0.587 * g + 0.114 * b;
}

/* 0xRRGGBB as a colour. */
static cnv_color cnv__hex(uint32_t rgb)
{
    cnv_color color;
    color.r = (float)(rgb >> 16 & 255) / 255;
    color.g = (float)(rgb >> 8 & 255) / 255;
    color.b = (float)(rgb & 255) / 255;
    return color;
}

/* Gives y its shape; refuses an empty input, and an output that is the input. */
static int cnv__shape_output(const char *what, const cnv_tensor *x, cnv_tensor *y, int n, int c,
                             int h, int w)
{
    if (!x->data) return cnv__fail("%s: the input is empty", what);
    if (x->data == y->data) return cnv__fail("%s: the output cannot be the input", what);
    return cnv_tensor_resize(y, n, c, h, w);
}

/* ---- 11.1 Numbers become colours ---- */

CNVDEF void cnv_range(const cnv_tensor *t, double *low, double *high)
{
    size_t i, size = cnv_tensor_size(t);
    int found = 0;
    *low = *high = 0;
    for (i = 0; i < size; i++) {
        double v = (double)t->data[i];
        if (!cnv__is_finite(v)) continue;
        if (!found || v < *low) *low = v;
        if (!found || v > *high) *high = v;
        found = 1;
    }
}

/* Colour maps as evenly spaced stops with straight lines between them. Fitted to viridis (van der
   Walt & Smith 2015) and turbo (Mikhailov 2019), they are never off by more than 0.015. */
static const uint32_t cnv__gray[] = {0x000000, 0xffffff};
static const uint32_t cnv__viridis[] = {
    0x440154, 0x48186b, 0x472d7c, 0x424086, 0x3b528b, 0x33638e, 0x2c728e, 0x26818e, 0x20908d,
    0x1e9f89, 0x26ae81, 0x3dbc74, 0x5cc963, 0x81d44d, 0xabdc32, 0xd5e217, 0xfee721};
static const uint32_t cnv__turbo[] = {
    0x31133e, 0x4140a4, 0x476be6, 0x4493ff, 0x28bcee, 0x14ddc3, 0x2ef29a, 0x6cfe62, 0xa4fe39,
    0xccee33, 0xefd13b, 0xffaf36, 0xfc8022, 0xed510e, 0xd33004, 0xad1601, 0x7b0302};
static const uint32_t cnv__red_white_blue[] = {
    0x08296b, 0x1c5aa6, 0x4b94cc, 0xa3cde8, 0xffffff, 0xf9c3ab, 0xe6755a, 0xbc2a33, 0x690b1e};

CNVDEF cnv_color cnv_map_color(cnv_map map, double t)
{
    const uint32_t *stops = cnv__gray;
    int last = 1, i;
    cnv_color a, b;
    if (t != t) return cnv__hex(0xff00ff);
    if (map == CNV_MAP_VIRIDIS) stops = cnv__viridis, last = 16;
    if (map == CNV_MAP_TURBO) stops = cnv__turbo, last = 16;
    if (map == CNV_MAP_RED_WHITE_BLUE) stops = cnv__red_white_blue, last = 8;
    t = cnv__clamp(t, 0, 1) * last;
    i = t < last ? (int)t : last - 1;
    a = cnv__hex(stops[i]), b = cnv__hex(stops[i + 1]);
    a.r += (b.r - a.r) * (float)(t - i);
    a.g += (b.g - a.g) * (float)(t - i);
    a.b += (b.b - a.b) * (float)(t - i);
    return a;
}

CNVDEF int cnv_colorize(const cnv_tensor *values, cnv_map map, double low, double high,
                        cnv_tensor *rgb)
{
    size_t i, plane = (size_t)values->h * (size_t)values->w;
    int k;
    if (values->c != 1)
        return cnv__fail("colorize: expects values of 1 channel, got %d", values->c);
    if (!cnv__shape_output("colorize", values, rgb, values->n, 3, values->h, values->w)) return 0;
    for (k = 0; k < values->n; k++) {
        const cnv_real *from = values->data + (size_t)k * plane;
        cnv_real *to = rgb->data + (size_t)k * 3 * plane;
        for (i = 0; i < plane; i++) {
            double v = (double)from[i];
            double t = low != high ? (v - low) / (high - low) : v > low ? 1 : v < low ? 0 : 0.5;
            cnv_color color = cnv_map_color(map, v == v ? t : v);
            to[i] = (cnv_real)color.r;
            to[plane + i] = (cnv_real)color.g;
            to[2 * plane + i] = (cnv_real)color.b;
        }
    }
    return 1;
}

/* ---- 11.2 Whole pictures ---- */

/* How one output of a resized line is weighed together from inputs first ... last. */
typedef struct {
    int first, last;
    double w_first, w_between, w_last;
} cnv__taps;

/* Going up: the two inputs around the output's centre; pixels are squares of size 1, so centres lie
   at .5. Going down: all inputs under the output, by the share that it covers. */
static void cnv__resize_taps(int in, int out, cnv__taps *taps)
{
    int i;
    double ratio = (double)in / out;
    for (i = 0; i < out; i++) {
        cnv__taps t;
        if (in <= out) {
            double at = cnv__clamp((i + 0.5) * ratio - 0.5, 0, in - 1);
            t.first = (int)at;
            t.last = at > t.first ? t.first + 1 : t.first;
            t.w_last = at - t.first, t.w_first = 1 - t.w_last, t.w_between = 0;
        } else {
            double from = (double)i * in / out, to = (double)(i + 1) * in / out;
            t.first = (int)from;
            t.last = (int)cnv__clamp(ceil(to) - 1, 0, in - 1);
            t.w_first = (t.first + 1 - from) / ratio;
            t.w_between = 1 / ratio;
            t.w_last = (to - t.last) / ratio;
        }
        taps[i] = t;
    }
}

/* y[i] = the weighted sum that taps describe, over numbers `stride` apart, from x[i] on; i < n. */
static void cnv__weigh(const cnv_real *x, size_t stride, const cnv__taps *taps, size_t n,
                       cnv_real *y)
{
    const cnv_real *first = x + (size_t)taps->first * stride;
    const cnv_real *last = x + (size_t)taps->last * stride, *at;
    size_t i;
    for (i = 0; i < n; i++) {
        double sum = taps->w_first * (double)first[i], between = 0;
        for (at = first + stride; at < last; at += stride) between += (double)at[i];
        if (first < last) sum += taps->w_between * between + taps->w_last * (double)last[i];
        y[i] = (cnv_real)sum;
    }
}

CNVDEF int cnv_resize(const cnv_tensor *x, int h, int w, cnv_tensor *y)
{
    cnv__taps *across, *down;
    cnv_real *rows;
    size_t k, planes = (size_t)x->n * (size_t)x->c, H = (size_t)x->h, W = (size_t)x->w, p, q;
    size_t P = (size_t)h, Q = (size_t)w;
    int ok;
    if (!cnv__shape_output("resize", x, y, x->n, x->c, h, w)) return 0;
    across = (cnv__taps *)cnv__allocate(Q, sizeof *across);
    down = (cnv__taps *)cnv__allocate(P, sizeof *down);
    rows = (cnv_real *)cnv__allocate(H, Q * sizeof *rows); /* x resized across, not yet down */
    ok = across && down && rows;
    if (ok) cnv__resize_taps(x->w, w, across), cnv__resize_taps(x->h, h, down);
    for (k = 0; ok && k < planes; k++) {
        for (p = 0; p < H; p++)
            for (q = 0; q < Q; q++)
                cnv__weigh(x->data + (k * H + p) * W, 1, across + q, 1, rows + p * Q + q);
        for (p = 0; p < P; p++) cnv__weigh(rows, Q, down + p, Q, y->data + (k * P + p) * Q);
    }
    CNNVIS_FREE(across);
    CNNVIS_FREE(down);
    CNNVIS_FREE(rows);
    return ok;
}

CNVDEF int cnv_enlarge(const cnv_tensor *x, int factor, cnv_tensor *y)
{
    if (x->data && x->data == y->data) return cnv__fail("enlarge: the output cannot be the input");
    return cnv_upsample_forward(x, factor, y);
}

/* Convolves a plane in place, across and then down, with 2*radius + 1 weights. scratch: room for
   the plane, and for a row with its repeated borders. */
static void cnv__blur_plane(cnv_real *x, int h, int w, const double *weights, int radius,
                            cnv_real *scratch)
{
    size_t n = (size_t)w;
    int p, q, k;
    for (p = 0; p < h; p++) {
        cnv_real *row = x + (size_t)p * n;
        for (q = -radius; q < w + radius; q++)
            scratch[q + radius] = row[q < 0 ? 0 : q < w ? q : w - 1];
        cnv__use()->affine(n, (cnv_real)weights[0], 0, scratch, row);
        for (k = 1; k <= 2 * radius; k++)
            cnv__use()->add_scaled(n, (cnv_real)weights[k], scratch + k, row);
    }
    memcpy(scratch, x, (size_t)h * n * sizeof *x);
    memset(x, 0, (size_t)h * n * sizeof *x);
    for (p = 0; p < h; p++)
        for (k = 0; k <= 2 * radius; k++) {
            int from = p + k - radius, row = from < 0 ? 0 : from < h ? from : h - 1;
            cnv__use()->add_scaled(n, (cnv_real)weights[k], scratch + (size_t)row * n,
                                   x + (size_t)p * n);
        }
}

CNVDEF int cnv_blur(const cnv_tensor *x, double sigma, cnv_tensor *y)
{
    size_t k, plane = (size_t)x->h * (size_t)x->w, row;
    double *weights, sum = 0;
    cnv_real *scratch;
    int i, radius;
    if (!(sigma >= 0 && sigma <= 1000))
        return cnv__fail("blur: sigma %g is not in 0 ... 1000", sigma);
    if (!x->data) return cnv__fail("blur: the input is empty");
    if (!cnv_tensor_copy(x, y)) return 0;
    if (sigma == 0) return 1;
    radius = (int)ceil(4 * sigma), row = (size_t)x->w + 2 * (size_t)radius;
    weights = (double *)cnv__allocate(2 * (size_t)radius + 1, sizeof *weights);
    scratch = (cnv_real *)cnv__allocate(plane > row ? plane : row, sizeof *scratch);
    if (weights && scratch) {
        for (i = -radius; i <= radius; i++)
            sum += weights[i + radius] = exp(-0.5 * (i / sigma) * (i / sigma));
        for (i = 0; i <= 2 * radius; i++) weights[i] /= sum;
        for (k = 0; k < (size_t)x->n * (size_t)x->c; k++)
            cnv__blur_plane(y->data + k * plane, x->h, x->w, weights, radius, scratch);
    }
    CNNVIS_FREE(weights);
    CNNVIS_FREE(scratch);
    return weights && scratch;
}

CNVDEF int cnv_stretch(const cnv_tensor *x, int each_channel, cnv_tensor *y)
{
    size_t i, j, channels = each_channel ? (size_t)x->c : 1, parts = (size_t)x->n * channels, size;
    if (!x->data) return cnv__fail("stretch: the input is empty");
    if (!cnv_tensor_copy(x, y)) return 0;
    size = cnv_tensor_size(y) / parts;
    for (i = 0; i < parts; i++) {
        cnv_tensor part = cnv_tensor_view(y->data + i * size, 1, y->c / (int)channels, y->h, y->w);
        double low, high;
        cnv_range(&part, &low, &high);
        for (j = 0; j < size; j++)
            part.data[j] = (cnv_real)(((double)part.data[j] - low) / (high > low ? high - low : 1));
    }
    return 1;
}

CNVDEF int cnv_roll(const cnv_tensor *x, int dx, int dy, cnv_tensor *y)
{
    size_t k, planes = (size_t)x->n * (size_t)x->c, h = (size_t)x->h, w = (size_t)x->w, i, first;
    if (!cnv__shape_output("roll", x, y, x->n, x->c, x->h, x->w)) return 0;
    first = (size_t)((dx % x->w + x->w) % x->w); /* the column that becomes the leftmost */
    for (k = 0; k < planes; k++)
        for (i = 0; i < h; i++) {
            size_t row = (i + (size_t)((dy % x->h + x->h) % x->h)) % h;
            const cnv_real *from = x->data + (k * h + row) * w;
            cnv_real *to = y->data + (k * h + i) * w;
            memcpy(to, from + first, (w - first) * sizeof *to);
            memcpy(to + w - first, from, first * sizeof *to);
        }
    return 1;
}

CNVDEF int cnv_ssim(const cnv_tensor *x, const cnv_tensor *y, double *similarity)
{
    size_t i, k, n = (size_t)x->h * (size_t)x->w, c = (size_t)x->c;
    cnv_tensor m = cnv_tensor_view(NULL, 0, 0, 0, 0); /* the channels x, y, xx, yy, xy */
    double sum = 0;
    if (!x->data || x->n != 1 || y->n != 1 || x->c != y->c || x->h != y->h || x->w != y->w)
        return cnv__fail("ssim: expects two pictures of one size, got %d x %d x %d x %d and "
                         "%d x %d x %d x %d", x->n, x->c, x->h, x->w, y->n, y->c, y->h, y->w);
    if (!cnv_tensor_resize(&m, 1, 5, x->h, x->w)) return 0;
    for (i = 0; i < n; i++) {
        cnv_real a = 0, b = 0;
        for (k = 0; k < c; k++) {
            a += x->data[k * n + i] / (cnv_real)c;
            b += y->data[k * n + i] / (cnv_real)c;
        }
        m.data[i] = a, m.data[n + i] = b;
        m.data[2 * n + i] = a * a, m.data[3 * n + i] = b * b, m.data[4 * n + i] = a * b;
    }
    if (!cnv_blur(&m, 1.5, &m)) return cnv_tensor_free(&m), 0;
    for (i = 0; i < n; i++) {
        double a = (double)m.data[i], b = (double)m.data[n + i], c1 = 1e-4, c2 = 9e-4;
        double aa = (double)m.data[2 * n + i] - a * a, bb = (double)m.data[3 * n + i] - b * b;
        double ab = (double)m.data[4 * n + i] - a * b;
        sum += (2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2));
    }
    cnv_tensor_free(&m);
    *similarity = sum / (double)n;
    return 1;
}

CNVDEF int cnv_overlay(const cnv_tensor *image, const cnv_tensor *heat, double opacity,
                       cnv_tensor *rgb)
{
    size_t i, plane = (size_t)image->h * (size_t)image->w;
    cnv_tensor warm = cnv_tensor_view(NULL, 0, 0, 0, 0);
    const cnv_real *at = image->data;
    int ok;
    if (image->n != 1 || (image->c != 1 && image->c != 3) || heat->n != 1 || heat->c != 1)
        return cnv__fail("overlay: expects one image of 1 or 3 channels and a heat of 1, got "
                         "%d x %d and %d x %d", image->n, image->c, heat->n, heat->c);
    ok = cnv_resize(heat, image->h, image->w, &warm) && cnv_stretch(&warm, 0, &warm) &&
         cnv__shape_output("overlay", image, rgb, 1, 3, image->h, image->w);
    for (i = 0; ok && i < plane; i++) {
        double gray = (double)at[i], t = (double)warm.data[i];
        double a = opacity * (t == t ? cnv__clamp(t, 0, 1) : 1);
        cnv_color color = cnv_map_color(CNV_MAP_TURBO, t);
        if (image->c == 3)
            gray = cnv__luminance(gray, (double)at[plane + i], (double)at[2 * plane + i]);
        rgb->data[i] = (cnv_real)((1 - a) * gray + a * color.r);
        rgb->data[plane + i] = (cnv_real)((1 - a) * gray + a * color.g);
        rgb->data[2 * plane + i] = (cnv_real)((1 - a) * gray + a * color.b);
    }
    cnv_tensor_free(&warm);
    return ok;
}

CNVDEF int cnv_montage(const cnv_tensor *tiles, int columns, int gap, cnv_tensor *sheet)
{
    int i, rows;
    double h = (double)tiles->h + gap, w = (double)tiles->w + gap;
    if (columns < 0 || gap < 0)
        return cnv__fail("montage: %d columns with gaps of %d are impossible", columns, gap);
    if (columns == 0) columns = (int)cnv__clamp(ceil(sqrt(tiles->n * h / w)), 1, tiles->n);
    rows = (tiles->n - 1) / columns + 1;
    if (rows * h + gap > INT_MAX || columns * w + gap > INT_MAX)
        return cnv__fail("montage: %d x %d tiles of %d x %d are too many", rows, columns, tiles->h,
                         tiles->w);
    if (!cnv__shape_output("montage", tiles, sheet, 1, tiles->c, (int)(rows * h + gap),
                           (int)(columns * w + gap)))
        return 0;
    cnv_tensor_fill(sheet, 1);
    for (i = 0; i < tiles->n; i++) {
        cnv_tensor tile = cnv_tensor_image(tiles, i);
        cnv_paste(sheet, &tile, gap + i % columns * (int)w, gap + i / columns * (int)h);
    }
    return 1;
}

/* ---- 11.3 Drawing ---- */

/* Mixes a colour into a pixel: 0 leaves it, 1 covers it. A gray picture takes the luminance. */
static void cnv__mix(cnv_tensor *picture, int x, int y, cnv_color color, double amount)
{
    size_t plane = (size_t)picture->h * (size_t)picture->w;
    cnv_real *at = picture->data + (size_t)y * (size_t)picture->w + (size_t)x;
    double rgb[3];
    int k;
    rgb[0] = color.r, rgb[1] = color.g, rgb[2] = color.b;
    if (picture->c < 3) rgb[0] = cnv__luminance(color.r, color.g, color.b);
    for (k = 0; k < (picture->c < 3 ? 1 : 3); k++, at += plane)
        *at = (cnv_real)(amount < 1 ? (double)*at + (rgb[k] - (double)*at) * amount : rgb[k]);
}

CNVDEF int cnv_canvas(cnv_tensor *picture, int h, int w, cnv_color color)
{
    if (!cnv_tensor_resize(picture, 1, 3, h, w)) return 0;
    cnv_rectangle(picture, 0, 0, w, h, color);
    return 1;
}

CNVDEF void cnv_paste(cnv_tensor *picture, const cnv_tensor *tile, int x, int y)
{
    int64_t i, j, k, plane = (int64_t)tile->h * tile->w;
    int64_t top = y < 0 ? -(int64_t)y : 0, left = x < 0 ? -(int64_t)x : 0;
    int64_t bottom = (int64_t)cnv__clamp((double)picture->h - y, 0, tile->h);
    int64_t right = (int64_t)cnv__clamp((double)picture->w - x, 0, tile->w);
    for (k = 0; k < picture->c; k++)
        for (i = top; i < bottom; i++)
            for (j = left; j < right; j++) {
                const cnv_real *from = tile->data + i * tile->w + j;
                cnv_real *to = picture->data + ((k * picture->h + y + i) * picture->w + x + j);
                if (picture->c == 1 && tile->c == 3)
                    *to = (cnv_real)cnv__luminance((double)from[0], (double)from[plane],
                                                   (double)from[2 * plane]);
                else
                    *to = from[k < tile->c ? k * plane : 0];
            }
}

/* Fills columns x0 <= x < x1 of rows y0 <= y < y1, as far as they lie on the picture. */
static void cnv__fill(cnv_tensor *picture, double x0, double y0, double x1, double y1,
                      cnv_color color)
{
    int left = (int)cnv__clamp(x0, 0, picture->w), right = (int)cnv__clamp(x1, 0, picture->w);
    int top = (int)cnv__clamp(y0, 0, picture->h), bottom = (int)cnv__clamp(y1, 0, picture->h), x, y;
    for (y = top; y < bottom; y++)
        for (x = left; x < right; x++) cnv__mix(picture, x, y, color, 1);
}

CNVDEF void cnv_rectangle(cnv_tensor *picture, int x, int y, int w, int h, cnv_color color)
{
    cnv__fill(picture, x, y, (double)x + w, (double)y + h, color);
}

CNVDEF void cnv_frame(cnv_tensor *picture, int x, int y, int w, int h, int thick, cnv_color color)
{
    double right = (double)x + w, bottom = (double)y + h, t = thick;
    t = cnv__clamp(t, 0, (w < h ? w : h) / 2 + 1);
    cnv__fill(picture, x, y, right, y + t, color);
    cnv__fill(picture, x, bottom - t, right, bottom, color);
    cnv__fill(picture, x, y, x + t, bottom, color);
    cnv__fill(picture, right - t, y, right, bottom, color);
}

/* Strokes are inked onto a mask first, where what is covered twice counts once; then the mask is
   painted. So corners of a polyline and crossings in a letter stay even. */
typedef struct {
    float *cover;   /* [h][w], how much of each pixel is covered */
    int x, y, w, h; /* where it lies on the picture */
} cnv__mask;

/* An empty mask over a box, as far as it lies on the picture; without memory, of size 0. */
static cnv__mask cnv__mask_new(const cnv_tensor *picture, double x0, double y0, double x1,
                               double y1)
{
    cnv__mask m;
    size_t i, size;
    m.x = (int)cnv__clamp(floor(x0), 0, picture->w);
    m.y = (int)cnv__clamp(floor(y0), 0, picture->h);
    m.w = (int)cnv__clamp(ceil(x1), m.x, picture->w) - m.x;
    m.h = (int)cnv__clamp(ceil(y1), m.y, picture->h) - m.y;
    size = (size_t)m.w * (size_t)m.h;
    m.cover = (float *)cnv__allocate(size, sizeof(float));
    if (!m.cover) m.w = m.h = 0, size = 0;
    for (i = 0; i < size; i++) m.cover[i] = 0;
    return m;
}

/* Paints with a mask and frees it. */
static void cnv__mask_paint(cnv__mask *m, cnv_tensor *picture, cnv_color color)
{
    int x, y;
    for (y = 0; y < m->h; y++)
        for (x = 0; x < m->w; x++) {
            float cover = m->cover[(size_t)y * (size_t)m->w + (size_t)x];
            if (cover > 0) cnv__mix(picture, m->x + x, m->y + y, color, cover);
        }
    CNNVIS_FREE(m->cover);
}

/* Inks a line of radius r with round ends. A pixel counts as an interval of length 1 across it:
   its share of [-r, r] is the cover. Ends that are not finite are left out. */
static void cnv__ink(cnv__mask *m, double x0, double y0, double x1, double y1, double r)
{
    double dx, dy, length2, right = m->x + m->w, bottom = m->y + m->h;
    int x, y, left, top;
    if (fabs(x1) + fabs(y1) < fabs(x0) + fabs(y0)) { /* measure from the end nearer to us */
        double swap = x0;
        x0 = x1, x1 = swap, swap = y0, y0 = y1, y1 = swap;
    }
    dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
    if (!cnv__is_finite(length2 + r) || r <= 0) return;
    left = (int)cnv__clamp(floor((dx < 0 ? x1 : x0) - r - 1), m->x, right);
    top = (int)cnv__clamp(floor((dy < 0 ? y1 : y0) - r - 1), m->y, bottom);
    right = cnv__clamp(ceil((dx < 0 ? x0 : x1) + r + 1), left, right);
    bottom = cnv__clamp(ceil((dy < 0 ? y0 : y1) + r + 1), top, bottom);
    for (y = top; y < bottom; y++)
        for (x = left; x < right; x++) {
            double px = x + 0.5 - x0, py = y + 0.5 - y0;
            double t = length2 > 0 ? cnv__clamp((px * dx + py * dy) / length2, 0, 1) : 0;
            double ex = px - t * dx, ey = py - t * dy, d = sqrt(ex * ex + ey * ey);
            double cover = (d + 0.5 < r ? d + 0.5 : r) - (d - 0.5 > -r ? d - 0.5 : -r);
            float *at = m->cover + (size_t)(y - m->y) * (size_t)m->w + (size_t)(x - m->x);
            if (cover > *at) *at = (float)cover;
        }
}

CNVDEF void cnv_line(cnv_tensor *picture, double x0, double y0, double x1, double y1, double thick,
                     cnv_color color)
{
    double reach = thick / 2 + 1;
    cnv__mask m = cnv__mask_new(picture, (x0 < x1 ? x0 : x1) - reach, (y0 < y1 ? y0 : y1) - reach,
                                (x0 < x1 ? x1 : x0) + reach, (y0 < y1 ? y1 : y0) + reach);
    cnv__ink(&m, x0, y0, x1, y1, thick / 2);
    cnv__mask_paint(&m, picture, color);
}

CNVDEF void cnv_disc(cnv_tensor *picture, double x, double y, double radius, cnv_color color)
{
    cnv_line(picture, x, y, x, y, 2 * radius, color);
}

/* ---- 11.4 Text ----

   A letter is drawn with a round pen. Its string holds two digits, the space left and right of the
   ink in half units, and the pen's strokes: points of a column 0 1 ... 9 : ; < and a row a ... q,
   where capitals stand on row m, 12 units below row a, and small letters reach up to row e. A row
   in upper case is a control point: the pen passes it by on a quadratic curve, from the middle
   between two such points to the next. A stroke that begins with one is a closed loop; a single
   point is a dot. "22 0E6E6M0M" is an o: it touches all four sides of the box from 0e to 6m. */
static const char *const cnv__font[95] = { /* clang-format off */
    "66", "44 0a0i 0m", "33 0a0d 3a3d", "22 3a1m 7a5m 0d8d 0i8i",                      /*  !"# */
    "22 6e6C0C0F6H6K0K0i 3a3m", "22 0A4A4F0F 6H:H:M6M 9a1m",                           /* $% */
    "22 8m2e1D1A6A6E0H0M7M8h", "33 0a0d", "31 3a0D0L3o", "13 0a3D3L0o",                /* &'() */
    "22 3a3g 0b6f 6b0f", "22 4d4l 0h8h", "22 1l0o", "22 0h4h", "33 0m", "11 0n5a",     /* *+,-./ */
    "22 0A7A7M0M", "44 0c3a3m", "22 0d0A7A7F0m7m", "22 0c0A6A6F3f7F7M0M0k",            /* 0123 */
    "22 5m5a0i7i", "22 6a0a0f1E7E7M0M0k", "22 5a0B0i 0E7E7M0M", "22 0a7a2m",           /* 4567 */
    "22 1A6A6F1F 0F7F7M0M", "22 2m7L7e 7I0I0A7A", "33 0f 0m", "22 1f 1l0o",            /* 89:; */
    "22 6d0h6l", "22 0f7f 0j7j", "22 0d6h0l", "22 0c0A6A6F3G3i 3m",                    /* <=>? */
    "22 8d8i8K;K;A0A0N8n 8D3D3J8J", "11 0m4a8m 1j7j", "43 0a4a7A7G4g0g 4g8G8M4m0m0a",  /* @AB */
    "32 8c8A0A0M8M8k", "43 0a3a8A8M3m0m0a", "42 7a0a0m7m 0g6g", "42 7a0a0m 0g6g",      /* CDEF */
    "33 8c8A0A0M8M8h5h", "44 0a0m 8a8m 0g8g", "44 0a0m", "24 5a5i5M0M0j",              /* GHIJ */
    "42 0a0m 7a0h 3e8m", "42 0a0m6m", "44 0m0a5i:a:m", "44 0m0a8m8a", "33 0A9A9M0M",   /* KLMNO */
    "42 0m0a4a7A7G4g0g", "33 0A9A9M0M 6j9n", "42 0m0a4a7A7G4g0g 4g7m",                 /* PQR */
    "33 8c8A0A0F8H8M0M0k", "11 0a8a 4a4m", "44 0a0h0M8M8h8a", "11 0a4m8a",             /* STUV */
    "11 0a3m6a9m<a", "11 0a8m 8a0m", "11 0a4g8a 4g4m", "33 0a8a0m8m", "31 3a0a0o3o",   /* WXYZ[ */
    "11 0a5n", "13 0a3a3o0o", "22 0f3a6f", "11 0n7n", "33 0a2c",                       /* \]^_` */
    "23 0f1E6E6h6m 6h3h0H0M6M6j", "32 0a0m 0E6E6M0M", "21 6f6E0E0M6M6k",               /* abc */
    "23 6a6m 0E6E6M0M", "22 0i6i6E0E0M5M6l", "11 5a2A2d2m 0e5e",                       /* def */
    "23 6e6m6Q0Q0o 0E6E6M0M", "33 0a0m 0i0E6E6i6m", "33 0e0m 0a", "03 2e2n2Q0q 2a",    /* ghij */
    "31 0a0m 6e0j 2h6m", "32 0a0k0M2m", "33 0e0m 0i0E6E6i6m 6i6E<E<i<m",               /* klm */
    "33 0e0m 0i0E6E6i6m", "22 0E6E6M0M", "32 0e0q 0E6E6M0M", "23 6e6q 0E6E6M0M",       /* nopq */
    "30 0e0m 0i0E4e", "22 6f6E0E0H6I6M0M0l", "11 2b2j2M5m 0e5e", "33 0e0i0M6M6i 6e6m", /* rstu */
    "11 0e3m6e", "11 0e2m5f8m:e", "11 0e6m 6e0m", "11 0e3m 6e2o1Q0q", "22 0e6e0m6m",   /* vwxyz */
    "21 4a2A2d2G0h2H2k2O4o", "33 0a0p", "12 0a2A2d2G4h2H2k2O0o", "22 0h0F4F4J8J8h",    /* {|}~ */
}; /* clang-format on */

/* The pen and its paper. Strokes are set on whole pixels ("hinted"), or small text would blur. */
typedef struct {
    double x, y;           /* the upper left corner of the letter's box */
    double size, thick;    /* height of a capital, thickness of a stroke */
    double unit_x, unit_y; /* of the font's grid, in pixels */
} cnv__pen;

/* A pen for capitals of a height. 6 columns, the distance of two stems, are whole pixels. */
static cnv__pen cnv__pen_new(double x, double y, double size, double weight)
{
    cnv__pen pen;
    pen.x = floor(x + 0.5), pen.y = floor(y + 0.5);
    pen.size = floor(cnv__clamp(size, 3, 10000) + 0.5);
    pen.thick = weight * (pen.size > 10 ? pen.size / 9 : 1.1);
    pen.unit_y = (pen.size - pen.thick) / 12;
    pen.unit_x = floor(6 * pen.unit_y + 0.6) / 6;
    return pen;
}

/* The font's string for a byte; a box for what it does not have. */
static const char *cnv__glyph(char c)
{
    return c >= ' ' && c <= '~' ? cnv__font[c - ' '] : "22 0a7a7m0m0a";
}

/* How far the pen moves on: space left, ink, space right. */
static double cnv__advance(const cnv__pen *pen, const char *glyph)
{
    int spaces = glyph[0] - '0' + glyph[1] - '0', width = 0;
    double ink = 0;
    const char *p;
    for (p = glyph + 2; *p; p += *p == ' ' ? 1 : 2)
        if (*p != ' ') ink = pen->thick, width = *p - '0' > width ? *p - '0' : width;
    return floor(spaces * 0.5 * pen->unit_y + width * pen->unit_x + ink + 0.5);
}

/* A point of the font's grid in pixels. Rows in the upper half keep their upper edge on a whole
   pixel, rows below their lower edge; a stem keeps its left edge there, other points are free. */
static void cnv__place(const cnv__pen *pen, int column, int row, int stem, double *x, double *y)
{
    double across = column * pen->unit_x, up = (12 - row) * pen->unit_y, down = row * pen->unit_y;
    *x = pen->x + pen->thick / 2 + (stem ? floor(across + 0.5) : across);
    *y = pen->y + (row < 6 ? pen->thick / 2 + floor(down + 0.5)
                           : pen->size - pen->thick / 2 - floor(up + 0.5));
}

/* Inks a quadratic Bezier curve from (x[0],y[0]) to (x[2],y[2]). */
static void cnv__ink_curve(cnv__mask *m, const double *x, const double *y, double r)
{
    double px = x[0], py = y[0];
    int i;
    for (i = 1; i <= 10; i++) {
        double t = i / 10.0, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
        double qx = a * x[0] + b * x[1] + c * x[2], qy = a * y[0] + b * y[1] + c * y[2];
        cnv__ink(m, px, py, qx, qy, r);
        px = qx, py = qy;
    }
}

/* Inks one stroke, given as in the font. */
static void cnv__ink_stroke(cnv__mask *m, const cnv__pen *pen, const char *p, int count)
{
    double x[32], y[32], cx[3], cy[3], r = pen->thick / 2;
    int i, closed = p[1] < 'a';
    if (count < 1 || count > 32) return;
    for (i = 0; i < count; i++) {
        int before = i ? i - 1 : closed ? count - 1 : i;
        int after = i + 1 < count ? i + 1 : closed ? 0 : i;
        int stem = (before != i && p[2 * before] == p[2 * i]) ||
                   (after != i && p[2 * after] == p[2 * i]);
        cnv__place(pen, p[2 * i] - '0', (p[2 * i + 1] | 32) - 'a', stem, x + i, y + i);
    }
    if (count == 1) cnv__ink(m, x[0], y[0], x[0], y[0], 1.2 * r);
    cx[0] = closed ? (x[0] + x[count - 1]) / 2 : x[0];
    cy[0] = closed ? (y[0] + y[count - 1]) / 2 : y[0];
    for (i = closed ? 0 : 1; i < count; i++) {
        int next = (i + 1) % count, middle = p[2 * next + 1] < 'a';
        if (p[2 * i + 1] >= 'a') {
            cnv__ink(m, cx[0], cy[0], x[i], y[i], r);
            cx[0] = x[i], cy[0] = y[i];
            continue;
        }
        cx[1] = x[i], cx[2] = middle ? (x[i] + x[next]) / 2 : x[next];
        cy[1] = y[i], cy[2] = middle ? (y[i] + y[next]) / 2 : y[next];
        cnv__ink_curve(m, cx, cy, r);
        cx[0] = cx[2], cy[0] = cy[2];
    }
}

/* cnv_text with a weight: 1 is regular, 1.4 bold. */
static void cnv__write(cnv_tensor *picture, double x, double y, double size, double weight,
                       cnv_color color, const char *text)
{
    cnv__pen pen = cnv__pen_new(x, y, size, weight);
    for (; *text && pen.x < picture->w; text++) {
        const char *glyph = cnv__glyph(*text), *p = glyph + 2, *end;
        double advance = cnv__advance(&pen, glyph), left = pen.x;
        cnv__mask m = cnv__mask_new(picture, left - pen.size, pen.y - pen.size,
                                    left + advance + pen.size, pen.y + 2 * pen.size);
        pen.x += floor((glyph[0] - '0') * 0.5 * pen.unit_y + 0.5);
        while (*p == ' ') {
            for (end = ++p; *end && *end != ' ';) end++;
            cnv__ink_stroke(&m, &pen, p, (int)(end - p) / 2);
            p = end;
        }
        cnv__mask_paint(&m, picture, color);
        pen.x = left + advance;
    }
}

CNVDEF void cnv_text(cnv_tensor *picture, double x, double y, double size, cnv_color color,
                     const char *text)
{
    if (text && cnv__is_finite(x + y + size)) cnv__write(picture, x, y, size, 1, color, text);
}

CNVDEF double cnv_text_width(double size, const char *text)
{
    cnv__pen pen = cnv__pen_new(0, 0, size, 1);
    double width = 0;
    for (; text && *text; text++) width += cnv__advance(&pen, cnv__glyph(*text));
    return width;
}

/* ---- 11.5 Plots ---- */

static const cnv_color cnv__dark = {0.15f, 0.16f, 0.18f}, cnv__pale = {0.40f, 0.42f, 0.45f};
static const cnv_color cnv__grid = {0.90f, 0.91f, 0.92f}, cnv__axis = {0.55f, 0.57f, 0.60f};
static const cnv_color cnv__white = {1, 1, 1};

/* The colour of the series to come (Okabe & Ito 2008, without the yellow: pale on white). */
static cnv_color cnv__series_color(const cnv_plot *plot, const cnv_color *color)
{
    static const uint32_t palette[] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                       0xe69f00, 0x56b4e9, 0x000000};
    return color ? *color : cnv__hex(palette[(unsigned)plot->series % 7]);
}

/* All sizes of a plot, by the size of the picture: 1 at 640 x 420. */
static double cnv__plot_scale(const cnv_plot *plot)
{
    double across = plot->width / 640.0, down = plot->height / 420.0;
    return cnv__clamp(across < down ? across : down, 0.7, 20);
}

/* Where a value lies on the picture: the centre of its pixel. */
static double cnv__plot_x(const cnv_plot *plot, double x)
{
    double span = plot->x_high - plot->x_low, t = span > 0 ? (x - plot->x_low) / span : 0.5;
    return plot->left + 0.5 + t * (plot->right - plot->left - 1);
}

static double cnv__plot_y(const cnv_plot *plot, double y)
{
    double t = (y - plot->y_low) / (plot->y_high - plot->y_low);
    return plot->bottom - 0.5 - t * (plot->bottom - plot->top - 1);
}

/* The i-th tick of an axis at a round step of 1, 2 or 5 times a power of ten; 0: there is none. */
static int cnv__tick(double low, double high, int i, double *value, char *label, size_t size)
{
    double raw = (high - low) / 6, power = pow(10, floor(log10(raw))), f, step;
    if (i > 20 || !(power > 0)) return 0;
    f = raw / power;
    step = (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10) * power;
    *value = (ceil(low / step - 1e-6) + i) * step;
    if (!(*value <= high + 1e-6 * step)) return 0;
    if (fabs(*value) < 1e-6 * step) *value = 0;
    snprintf(label, size, "%g", *value);
    return 1;
}

/* Makes a range that can be drawn: finite, low < high. An empty one grows if it is `needed`. */
static void cnv__plot_range(double *low, double *high, int needed)
{
    double swap = *low;
    if (!cnv__is_finite(*high - *low)) *low = 0, *high = 1;
    if (*low > *high) *low = *high, *high = swap;
    if (needed && *high - *low <= 1e-12 * fabs(*low)) {
        double half = *low != 0 ? 0.5 * fabs(*low) : 0.5;
        *low -= half, *high += half;
    }
}

/* Leaves room around the frame for what is written there. */
static void cnv__plot_layout(cnv_plot *plot)
{
    double s = cnv__plot_scale(plot), widest = 0, value;
    char label[32];
    int i, categories = !(plot->x_high > plot->x_low); /* may need two rows */
    for (i = 0; cnv__tick(plot->y_low, plot->y_high, i, &value, label, sizeof label); i++) {
        double width = cnv_text_width(9 * s, label);
        if (width > widest) widest = width;
    }
    plot->left = (int)(24 * s + widest);
    plot->top = (int)(16 * s + (plot->title ? 27 * s : 0) + 28 * s);
    plot->right = plot->width - (int)(24 * s);
    plot->bottom = plot->height - (int)((categories ? 46 : 36) * s + (plot->x_label ? 20 * s : 0));
    if (plot->right <= plot->left) plot->right = plot->left + 1;
    if (plot->bottom <= plot->top) plot->bottom = plot->top + 1;
    plot->legend_x = plot->left;
    if (plot->y_label) plot->legend_x = 44 * s + cnv_text_width(9 * s, plot->y_label);
    plot->legend_y = floor(plot->top - 25 * s);
}

/* Grid lines and the numbers at them. */
static void cnv__plot_ticks(const cnv_plot *plot, cnv_tensor *picture)
{
    double s = cnv__plot_scale(plot), value;
    int i, line = (int)(s + 0.5), w = plot->right - plot->left, h = plot->bottom - plot->top;
    char label[32];
    for (i = 0; cnv__tick(plot->y_low, plot->y_high, i, &value, label, sizeof label); i++) {
        int y = (int)cnv__plot_y(plot, value);
        double width = cnv_text_width(9 * s, label);
        cnv_rectangle(picture, plot->left, y - line / 2, w, line,
                      value == 0 ? cnv__axis : cnv__grid);
        cnv_text(picture, plot->left - 8 * s - width, y - 4 * s, 9 * s, cnv__pale, label);
    }
    if (plot->x_high > plot->x_low)
        for (i = 0; cnv__tick(plot->x_low, plot->x_high, i, &value, label, sizeof label); i++) {
            double x = floor(cnv__plot_x(plot, value)), width = cnv_text_width(9 * s, label);
            cnv_rectangle(picture, (int)x - line / 2, plot->top, line, h, cnv__grid);
            cnv_text(picture, x - width / 2, plot->bottom + 9 * s, 9 * s, cnv__pale, label);
        }
    cnv_rectangle(picture, plot->left, plot->bottom - (line + 1) / 2, w, line, cnv__axis);
}

CNVDEF int cnv_plot_begin(cnv_plot *plot, cnv_tensor *picture)
{
    double s, x;
    if (!plot->width) plot->width = 640;
    if (!plot->height) plot->height = 420;
    if (!cnv_canvas(picture, plot->height, plot->width, cnv__white)) return 0;
    s = cnv__plot_scale(plot);
    plot->series = 0;
    cnv__plot_range(&plot->x_low, &plot->x_high, 0);
    cnv__plot_range(&plot->y_low, &plot->y_high, 1);
    cnv__plot_layout(plot);
    cnv__plot_ticks(plot, picture);
    if (plot->title) cnv__write(picture, 16 * s, 16 * s, 13 * s, 1.4, cnv__dark, plot->title);
    if (plot->y_label)
        cnv_text(picture, 16 * s, plot->legend_y, 9 * s, cnv__pale, plot->y_label);
    if (plot->x_label) {
        x = (plot->left + plot->right - cnv_text_width(9 * s, plot->x_label)) / 2;
        cnv_text(picture, x, plot->height - 23 * s, 9 * s, cnv__pale, plot->x_label);
    }
    return 1;
}

/* A new entry of the legend, above the frame; x, y: where its sample belongs. A full row is
   continued below, on the frame. */
static void cnv__plot_legend(cnv_plot *plot, cnv_tensor *picture, const char *label, double *x,
                             double *y)
{
    double s = cnv__plot_scale(plot), width = 28 * s + cnv_text_width(9 * s, label);
    if (plot->legend_x + width > plot->right && plot->legend_x > plot->left) {
        plot->legend_x = plot->left + 12 * s;
        plot->legend_y += floor((plot->legend_y < plot->top ? 36 : 18) * s);
    }
    *x = floor(plot->legend_x + 11 * s), *y = floor(plot->legend_y + 4.5 * s) + 0.5;
    cnv_text(picture, *x + 17 * s, plot->legend_y, 9 * s, cnv__dark, label);
    plot->legend_x += floor(width + 20 * s);
}

CNVDEF void cnv_plot_line(cnv_plot *plot, cnv_tensor *picture, const double *x, const double *y,
                          int count, const cnv_color *color, const char *label)
{
    double s = cnv__plot_scale(plot), at_x, at_y;
    cnv_color c = cnv__series_color(plot, color);
    cnv__mask m = cnv__mask_new(picture, plot->left, plot->top - s, plot->right, plot->bottom + s);
    int i;
    for (i = 0; i + 1 < count; i++)
        cnv__ink(&m, cnv__plot_x(plot, x[i]), cnv__plot_y(plot, y[i]),
                 cnv__plot_x(plot, x[i + 1]), cnv__plot_y(plot, y[i + 1]), s);
    cnv__mask_paint(&m, picture, c);
    plot->series++;
    if (!label) return;
    cnv__plot_legend(plot, picture, label, &at_x, &at_y);
    cnv_line(picture, at_x - 9 * s, at_y, at_x + 9 * s, at_y, 3 * s, c);
}

CNVDEF void cnv_plot_points(cnv_plot *plot, cnv_tensor *picture, const double *x, const double *y,
                            int count, const cnv_color *color, const char *label)
{
    double s = cnv__plot_scale(plot), at_x, at_y;
    cnv_color c = cnv__series_color(plot, color);
    int i;
    for (i = 0; i < count; i++) {
        at_x = cnv__plot_x(plot, x[i]), at_y = cnv__plot_y(plot, y[i]);
        if (at_x >= plot->left && at_x <= plot->right && at_y >= plot->top &&
            at_y <= plot->bottom) {
            cnv_disc(picture, at_x, at_y, 4.2 * s, cnv__white);
            cnv_disc(picture, at_x, at_y, 3.2 * s, c);
        }
    }
    plot->series++;
    if (!label) return;
    cnv__plot_legend(plot, picture, label, &at_x, &at_y);
    cnv_disc(picture, at_x + 5 * s, at_y, 4 * s, c);
}

/* Mixes a fifth of a colour into column x from y0 down to y1, if that is further down. */
static void cnv__tint(cnv_tensor *picture, int x, double y0, double y1, cnv_color color)
{
    int y, bottom = (int)cnv__clamp(ceil(y1), 0, picture->h);
    if (x < 0 || x >= picture->w || !(y0 < y1)) return;
    for (y = (int)cnv__clamp(floor(y0), 0, picture->h); y < bottom; y++)
        cnv__mix(picture, x, y, color, 0.2 * ((y1 < y + 1 ? y1 : y + 1) - (y0 > y ? y0 : y)));
}

CNVDEF void cnv_plot_band(const cnv_plot *plot, cnv_tensor *picture, const double *x,
                          const double *low, const double *high, int count, const cnv_color *color)
{
    cnv_color c = cnv__series_color(plot, color);
    int i, column, end;
    for (i = 0; i + 1 < count; i++) {
        double x0 = cnv__plot_x(plot, x[i]), width = cnv__plot_x(plot, x[i + 1]) - x0, y[2];
        if (!cnv__is_finite(x0 + width + low[i] + low[i + 1] + high[i] + high[i + 1])) continue;
        column = (int)ceil(cnv__clamp(x0, plot->left, plot->right) - 0.5);
        end = (int)ceil(cnv__clamp(x0 + width, plot->left, plot->right) - 0.5);
        for (; column < end; column++) {
            double t = (column + 0.5 - x0) / width;
            y[0] = cnv__plot_y(plot, high[i] + t * (high[i + 1] - high[i]));
            y[1] = cnv__plot_y(plot, low[i] + t * (low[i + 1] - low[i]));
            cnv__tint(picture, column, cnv__clamp(y[0], plot->top, plot->bottom),
                      cnv__clamp(y[1], plot->top, plot->bottom), c);
        }
    }
}

CNVDEF void cnv_plot_bars(cnv_plot *plot, cnv_tensor *picture, const double *heights,
                          const char *const *labels, int count, const cnv_color *color)
{
    double s = cnv__plot_scale(plot), slot = (plot->right - plot->left) / (count > 0 ? count : 1.0);
    double zero = cnv__plot_y(plot, cnv__clamp(0, plot->y_low, plot->y_high)), widest = 0;
    cnv_color c = cnv__series_color(plot, color);
    int i, two_rows;
    for (i = 0; i < count; i++) {
        double y = cnv__clamp(cnv__plot_y(plot, heights[i]), plot->top, plot->bottom);
        double x = plot->left + i * slot, width = labels ? cnv_text_width(9 * s, labels[i]) : 0;
        if (width > widest) widest = width;
        if (heights[i] == heights[i])
            cnv__fill(picture, floor(x + 0.15 * slot + 0.5), floor(y < zero ? y : zero),
                      floor(x + 0.85 * slot + 0.5), floor(y < zero ? zero : y), c);
    }
    two_rows = widest > slot - 4 * s;
    for (i = 0; labels && i < count; i++) {
        double x = plot->left + (i + 0.5) * slot - cnv_text_width(9 * s, labels[i]) / 2;
        double y = plot->bottom + 8 * s + (two_rows && i % 2 ? 14 * s : 0);
        cnv_text(picture, x, y, 9 * s, cnv__pale, labels[i]);
    }
    plot->series++;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#define CNNVIS_IMPLEMENTED
#endif /* CNV__SET */
#endif /* CNNVIS_IMPLEMENTATION */

/* ==================== License ====================

   Take it under whichever of the two you prefer.

   A. Public domain (www.unlicense.org)
   This is free and unencumbered software released into the public domain. Anyone is free to copy,
   modify, publish, use, compile, sell, or distribute this software, either in source code form or
   as a compiled binary, for any purpose, commercial or non-commercial, and by any means. In
   jurisdictions that recognize copyright laws, the author or authors of this software dedicate any
   and all copyright interest in the software to the public domain. We make this dedication for the
   benefit of the public at large and to the detriment of our heirs and successors. We intend this
   dedication to be an overt act of relinquishment in perpetuity of all present and future rights
   to this software under copyright law.
   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
   BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
   CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   B. MIT License
   Copyright (c) 2026 the cnnvis authors
   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
   associated documentation files (the "Software"), to deal in the Software without restriction,
   including without limitation the rights to use, copy, modify, merge, publish, distribute,
   sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions: The above copyright notice and this
   permission notice shall be included in all copies or substantial portions of the Software.
   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
   BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
   DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
