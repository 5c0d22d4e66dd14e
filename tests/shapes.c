/* Proves that operators refuse what does not fit: they return 0, say why with the numbers in
   question, change no tensor (neither shape nor contents) and leave no memory behind.

   How: every tensor of a call is a sample, filled with sevens and remembered. Each call has one
   thing wrong; afterwards all samples must be as they were, the count of live memory blocks too,
   and both numbers must stand in the message. */
#include "memory.h"

#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include <limits.h>
#include <string.h>

#include "check.h"

enum { MOST_SAMPLES = 256 };
static cnv_tensor samples[MOST_SAMPLES], remembered[MOST_SAMPLES];
static int sample_count;

static cnv_tensor *sample(int n, int c, int h, int w)
{
    cnv_tensor *t = &samples[sample_count];
    memset(t, 0, sizeof *t);
    if (sample_count == MOST_SAMPLES - 1 || !cnv_tensor_resize(t, n, c, h, w)) exit(2);
    cnv_tensor_fill(t, 7);
    remembered[sample_count++] = *t;
    return t;
}

/* The same as a view, which the library must not move. */
static cnv_tensor *sample_view(int n, int c, int h, int w)
{
    cnv_tensor *owner = sample(n, c, h, w), *view = &samples[sample_count];
    *view = cnv_tensor_view(owner->data, n, c, h, w);
    remembered[sample_count++] = *view;
    return view;
}

static void free_samples(void)
{
    while (sample_count) cnv_tensor_free(&samples[--sample_count]);
}

static int samples_unchanged(void)
{
    int i;
    for (i = 0; i < sample_count; i++) {
        size_t j, size = cnv_tensor_size(&remembered[i]);
        if (memcmp(&samples[i], &remembered[i], sizeof(cnv_tensor))) return 0;
        for (j = 0; j < size; j++)
            if (samples[i].data[j] != 7) return 0;
    }
    return 1;
}

static long live_before;

/* Leaves a message of its own, so that an old one cannot pass for the one expected. */
static void before_call(void)
{
    cnv_use("nothing of that name");
    live_before = memory_live;
}

static void after_call(int result, const char *call, const char *number, const char *other)
{
    const char *message = cnv_error();
    CHECK(!result, "%s", call);
    CHECK(strstr(message, number) && strstr(message, other), "%s: %s and %s are not in '%s'", call,
          number, other, message);
    CHECK(!strstr(message, "nothing of that name"), "%s: no message", call);
    CHECK(samples_unchanged(), "%s: tensors were changed", call);
    CHECK(memory_live == live_before, "%s: %ld blocks more", call, memory_live - live_before);
}

/* The call must fail, with both numbers in the message. */
#define REFUSED(call, number, other) (before_call(), after_call(call, #call, number, other))

/* ---- Tensors and windows ---- */

static void refuse_tensors(void)
{
    cnv_tensor *t = sample(2, 3, 5, 7), *view = sample_view(2, 3, 5, 7), *big = sample(2, 3, 5, 8);
    REFUSED(cnv_tensor_resize(t, 0, 3, 5, 7), "0", "7");
    REFUSED(cnv_tensor_resize(t, 2, -3, 5, 7), "-3", "7");
    REFUSED(cnv_tensor_resize(t, 2, 3, 0, 7), "0", "7");
    REFUSED(cnv_tensor_resize(t, 2, 3, 5, INT_MIN), "-2147483648", "5");
    REFUSED(cnv_tensor_resize(t, INT_MAX, INT_MAX, INT_MAX, 1), "2147483647", "1");
    REFUSED(cnv_tensor_resize(t, 1 << 16, 1 << 16, 1 << 16, 1 << 16), "65536", "65536");
    REFUSED(cnv_tensor_resize(t, 1 << 16, 1 << 16, 1 << 15, 1 << 14), "", "");
    REFUSED(cnv_tensor_resize(view, 2, 3, 5, 8), "8", "7");
    REFUSED(cnv_tensor_resize(view, 1, 1, 1, 1), "7", "1");
    REFUSED(cnv_tensor_copy(big, view), "8", "7");
    CHECK(cnv_tensor_resize(view, 1, 7, 5, 6) && view->c == 7, "%s", cnv_error());
    free_samples();
}

static int output_of(cnv_window win, int h, int w)
{
    int p = -5, q = -5, result = cnv_window_output(&win, h, w, &p, &q);
    CHECK(result || (p == -5 && q == -5), "p %d and q %d were changed", p, q);
    return result;
}

static cnv_window dilated(int kernel, int dilation)
{
    cnv_window win = cnv_square(kernel, 1, 0);
    win.dilation_h = win.dilation_w = dilation;
    return win;
}

static cnv_window one_pad(int top, int left, int bottom, int right)
{
    cnv_window win = cnv_square(3, 1, 0);
    win.pad_top = top, win.pad_left = left, win.pad_bottom = bottom, win.pad_right = right;
    return win;
}

static void refuse_windows(void)
{
    cnv_window tall = cnv_square(3, 1, 0), wide = cnv_square(3, 1, 0);
    tall.kernel_h = 19, wide.kernel_w = 19;
    REFUSED(output_of(cnv_square(3, 0, 1), 9, 9), "0", "");
    REFUSED(output_of(cnv_square(3, -4, 1), 9, 9), "-4", "");
    REFUSED(output_of(cnv_square(0, 1, 1), 9, 9), "0", "");
    REFUSED(output_of(cnv_square(-3, 1, 1), 9, 9), "-3", "");
    REFUSED(output_of(dilated(3, 0), 9, 9), "0", "");
    REFUSED(output_of(dilated(3, -1), 9, 9), "-1", "");
    REFUSED(output_of(one_pad(-2, 1, 1, 1), 9, 9), "-2", "");
    REFUSED(output_of(one_pad(1, -2, 1, 1), 9, 9), "-2", "");
    REFUSED(output_of(one_pad(1, 1, -2, 1), 9, 9), "-2", "");
    REFUSED(output_of(one_pad(1, 1, 1, -2), 9, 9), "-2", "");
    REFUSED(output_of(cnv_square(11, 1, 0), 9, 12), "11", "9");
    REFUSED(output_of(cnv_square(11, 1, 0), 12, 9), "11", "9");
    REFUSED(output_of(cnv_square(14, 1, 2), 9, 33), "14", "9");
    REFUSED(output_of(tall, 9, 33), "19", "9");
    REFUSED(output_of(wide, 33, 9), "19", "9");
    REFUSED(output_of(dilated(3, 5), 9, 33), "3", "9");
    REFUSED(output_of(cnv_square(3, 1, 1), 0, 9), "0", "");
    REFUSED(output_of(cnv_square(3, 1, 1), 9, -1), "-1", "");
    REFUSED(output_of(cnv_square(3, 1, INT_MAX), 9, 9), "2147483647", "");
    REFUSED(output_of(dilated(3, INT_MAX), 9, 9), "2147483647", "9");
    REFUSED(output_of(dilated(INT_MAX, INT_MAX), 9, 9), "2147483647", "9");
    REFUSED(output_of(cnv_square(INT_MAX, 1, 0), 9, 9), "2147483647", "9");
    CHECK(output_of(cnv_square(INT_MAX, 1, 0), INT_MAX, INT_MAX), "%s", cnv_error());
}

/* ---- Convolution ---- */

/* y is 1,23,9,9 for x 1,16,9,9 and weight 23,16,3,3. */
static void refuse_forward(void)
{
    cnv_window win = cnv_square(3, 1, 1), other = cnv_square(5, 1, 1), huge = cnv_square(3, 1, 9);
    cnv_tensor *x = sample(1, 16, 9, 9), *x17 = sample(1, 17, 9, 9), *y = sample(1, 2, 3, 4);
    cnv_tensor *w = sample(23, 16, 3, 3), *w19 = sample(23, 19, 3, 3), *w8 = sample(22, 8, 3, 3);
    cnv_tensor *odd = sample(23, 8, 3, 3), *b = sample(1, 23, 1, 1), *b21 = sample(1, 21, 1, 1);
    cnv_tensor *small = sample(1, 16, 1, 1), *view = sample_view(1, 23, 3, 3);
    cnv_tensor none = {0};
    REFUSED(cnv_conv2d_forward(x17, w19, b, &win, 1, y, NULL), "17", "19");
    REFUSED(cnv_conv2d_forward(x17, w8, NULL, &win, 2, y, NULL), "17", "2");
    REFUSED(cnv_conv2d_forward(x, odd, b, &win, 2, y, NULL), "23", "2");
    REFUSED(cnv_conv2d_forward(x, w8, NULL, &win, 1, y, NULL), "16", "8");
    REFUSED(cnv_conv2d_forward(x, w, b, &win, 0, y, NULL), "0", "");
    REFUSED(cnv_conv2d_forward(x, w, b, &win, -1, y, NULL), "-1", "");
    REFUSED(cnv_conv2d_forward(x, w, b21, &win, 1, y, NULL), "21", "23");
    REFUSED(cnv_conv2d_forward(x, w, b, &other, 1, y, NULL), "5", "3");
    win.pad_top = win.pad_bottom = 0;
    REFUSED(cnv_conv2d_forward(small, w, b, &win, 1, y, NULL), "3", "1");
    win.pad_top = -1;
    REFUSED(cnv_conv2d_forward(x, w, b, &win, 1, y, NULL), "-1", "");
    win = cnv_square(3, 0, 1);
    REFUSED(cnv_conv2d_forward(x, w, b, &win, 1, y, NULL), "0", "");
    win = cnv_square(3, 1, 1);
    REFUSED(cnv_conv2d_forward(x, w, b, &win, 1, view, NULL), "9", "3");
    REFUSED(cnv_conv2d_forward(&none, w, b, &win, 1, y, NULL), "0", "");
    REFUSED(cnv_conv2d_forward(x, &none, b, &win, 1, y, NULL), "0", "");
    huge.pad_top = huge.pad_left = huge.pad_bottom = huge.pad_right = 1 << 29;
    REFUSED(cnv_conv2d_forward(x, w, b, &huge, 1, y, NULL), "", "");
    huge.pad_top = huge.pad_bottom = INT_MAX / 2;
    REFUSED(cnv_conv2d_forward(x, w, b, &huge, 1, y, NULL), "", "");
    free_samples();
}

static void refuse_backward(void)
{
    cnv_window win = cnv_square(3, 2, 1), other = cnv_square(5, 2, 1);
    cnv_tensor *x = sample(2, 16, 9, 9), *w = sample(23, 16, 3, 3), *dy = sample(2, 23, 5, 5);
    cnv_tensor *channels = sample(2, 21, 5, 5), *rows = sample(2, 23, 6, 5);
    cnv_tensor *columns = sample(2, 23, 5, 6), *images = sample(3, 23, 5, 5);
    cnv_tensor *dx17 = sample(2, 17, 9, 9), *dw = sample(23, 16, 3, 3), *db = sample(1, 23, 1, 1);
    cnv_tensor *dw19 = sample(19, 16, 3, 3), *dw15 = sample(23, 15, 3, 3), none = {0};
    cnv_tensor *dw4 = sample(23, 16, 3, 4), *db21 = sample(1, 21, 1, 1);
    REFUSED(cnv_conv2d_backward_data(channels, w, &win, 1, x, NULL), "21", "23");
    REFUSED(cnv_conv2d_backward_data(rows, w, &win, 1, x, NULL), "6", "5");
    REFUSED(cnv_conv2d_backward_data(columns, w, &win, 1, x, NULL), "6", "5");
    REFUSED(cnv_conv2d_backward_data(images, w, &win, 1, x, NULL), "3", "2");
    REFUSED(cnv_conv2d_backward_data(dy, w, &win, 1, dx17, NULL), "17", "16");
    REFUSED(cnv_conv2d_backward_data(dy, w, &other, 1, x, NULL), "5", "3");
    REFUSED(cnv_conv2d_backward_data(dy, w, &win, 2, x, NULL), "16", "2");
    REFUSED(cnv_conv2d_backward_data(dy, w, &win, 1, &none, NULL), "0", "");
    REFUSED(cnv_conv2d_backward_weights(x, channels, &win, 1, dw, db, NULL), "21", "23");
    REFUSED(cnv_conv2d_backward_weights(x, rows, &win, 1, dw, db, NULL), "6", "5");
    REFUSED(cnv_conv2d_backward_weights(x, images, &win, 1, dw, db, NULL), "3", "2");
    REFUSED(cnv_conv2d_backward_weights(dx17, dy, &win, 1, dw, db, NULL), "17", "16");
    REFUSED(cnv_conv2d_backward_weights(x, dy, &win, 1, dw19, db, NULL), "19", "23");
    REFUSED(cnv_conv2d_backward_weights(x, dy, &win, 1, dw15, db, NULL), "15", "16");
    REFUSED(cnv_conv2d_backward_weights(x, dy, &win, 1, dw4, db, NULL), "4", "3");
    REFUSED(cnv_conv2d_backward_weights(x, dy, &win, 1, dw, db21, NULL), "21", "23");
    REFUSED(cnv_conv2d_backward_weights(x, dy, &win, 1, &none, db, NULL), "0", "");
    CHECK(!none.data && memory_live == live_before, "an empty gradient was given memory");
    free_samples();
}

static void refuse_columns(void)
{
    cnv_window win = cnv_square(3, 1, 0), wide = cnv_square(12, 1, 1), many = cnv_square(64, 1, 0);
    cnv_tensor *x = sample(2, 5, 9, 8), *cols = sample(1, 2, 3, 4), *wrong = sample(2, 44, 7, 6);
    cnv_tensor *rows = sample(2, 45, 8, 6), *view = sample_view(2, 45, 7, 7), none = {0};
    cnv_tensor endless = cnv_tensor_view(x->data, 1, 1 << 20, 64, 64);
    REFUSED(cnv_im2col(x, &wide, cols), "12", "9");
    REFUSED(cnv_im2col(x, &win, view), "7", "6");
    REFUSED(cnv_im2col(&none, &win, cols), "0", "");
    REFUSED(cnv_im2col(&endless, &many, cols), "", "");
    REFUSED(cnv_col2im(wrong, &win, x), "44", "5");
    REFUSED(cnv_col2im(rows, &win, x), "6", "9");
    REFUSED(cnv_col2im(rows, &wide, x), "12", "9");
    free_samples();
}

static void refuse_linear(void)
{
    cnv_tensor *x = sample(2, 3, 5, 7), *w = sample(11, 105, 1, 1), *w104 = sample(11, 104, 1, 1);
    cnv_tensor *b = sample(1, 11, 1, 1), *b13 = sample(1, 13, 1, 1), *y = sample(1, 2, 3, 4);
    cnv_tensor *dy = sample(2, 11, 1, 1), *dy3 = sample(3, 11, 1, 1), *dy12 = sample(2, 12, 1, 1);
    cnv_tensor *view = sample_view(2, 10, 1, 1), *dx = sample(2, 3, 5, 6), none = {0};
    cnv_tensor *w12 = sample(12, 105, 1, 1);
    cnv_tensor tall = cnv_tensor_view(x->data, 50000, 1, 1, 1);
    REFUSED(cnv_linear_forward(&tall, &tall, NULL, y, NULL), "50000", "");
    REFUSED(cnv_linear_forward(x, w104, b, y, NULL), "105", "104");
    REFUSED(cnv_linear_forward(x, w, b13, y, NULL), "13", "11");
    REFUSED(cnv_linear_forward(x, w, b, view, NULL), "11", "10");
    REFUSED(cnv_linear_forward(&none, w, b, y, NULL), "0", "");
    REFUSED(cnv_linear_backward_data(dy12, w, x, NULL), "12", "11");
    REFUSED(cnv_linear_backward_data(dy3, w, x, NULL), "3", "2");
    REFUSED(cnv_linear_backward_data(dy, w, dx, NULL), "105", "6");
    REFUSED(cnv_linear_backward_weights(x, dy3, w, b, NULL), "3", "2");
    REFUSED(cnv_linear_backward_weights(x, dy, w104, b, NULL), "105", "104");
    REFUSED(cnv_linear_backward_weights(x, dy, w12, b, NULL), "12", "11");
    REFUSED(cnv_linear_backward_weights(x, dy, w, b13, NULL), "13", "11");
    free_samples();
}

/* ---- The other operators ---- */

static void refuse_elementwise(void)
{
    cnv_tensor *x = sample(2, 3, 5, 7), *other = sample(2, 3, 5, 8), *y = sample(1, 2, 3, 4);
    cnv_tensor *view = sample_view(2, 3, 5, 6), *turned = sample(2, 3, 7, 5), none = {0};
    cnv_rng rng = cnv_rng_seed(1);
    REFUSED(cnv_relu_forward(x, view), "7", "6");
    REFUSED(cnv_relu_forward(&none, y), "0", "");
    REFUSED(cnv_relu_backward(CNV_GRADIENT, x, other, y), "7", "8");
    REFUSED(cnv_relu_backward(CNV_GUIDED, x, turned, y), "7", "5");
    REFUSED(cnv_sigmoid_forward(x, view), "7", "6");
    REFUSED(cnv_sigmoid_backward(x, other, y), "7", "8");
    REFUSED(cnv_tanh_forward(x, view), "7", "6");
    REFUSED(cnv_tanh_backward(x, turned, y), "7", "5");
    REFUSED(cnv_add_forward(x, other, y), "7", "8");
    REFUSED(cnv_add_forward(x, turned, y), "7", "5");
    REFUSED(cnv_add_forward(x, x, view), "7", "6");
    REFUSED(cnv_softmax_forward(x, view), "7", "6");
    REFUSED(cnv_softmax_backward(x, other, y), "7", "8");
    REFUSED(cnv_dropout_forward(x, -0.5, &rng, y, other), "-0.5", "");
    REFUSED(cnv_dropout_forward(x, 1.5, &rng, y, other), "1.5", "");
    REFUSED(cnv_dropout_forward(x, 0.5, &rng, view, other), "7", "6");
    REFUSED(cnv_dropout_backward(x, other, y), "7", "8");
    free_samples();
}

static void refuse_pools(void)
{
    cnv_window win = cnv_square(3, 2, 0), wide = cnv_square(12, 1, 1), still = cnv_square(3, 0, 0);
    cnv_tensor *x = sample(2, 3, 9, 7), *y = sample(2, 3, 4, 3), *switches = sample(2, 3, 4, 3);
    cnv_tensor *view = sample_view(2, 3, 4, 2), *rows = sample(2, 3, 5, 3);
    cnv_tensor *dx4 = sample(2, 4, 9, 7), *dx11 = sample(2, 3, 11, 7), none = {0};
    cnv_tensor vast = cnv_tensor_view(x->data, 1, 1, 5000, 5000);
    cnv_window far = cnv_square(1, 1, 0); /* a dilation that no tap feels, but offsets would */
    far.dilation_h = far.dilation_w = INT_MAX;
    REFUSED(cnv_max_pool_forward(x, &wide, y), "12", "9");
    REFUSED(cnv_max_pool_forward(x, &still, y), "0", "");
    REFUSED(cnv_max_pool_forward(x, &win, view), "3", "2");
    REFUSED(cnv_max_pool_forward(&none, &win, y), "0", "");
    REFUSED(cnv_max_pool_switches(&vast, &win, y, switches), "5000", "");
    REFUSED(cnv_max_pool_switches(x, &win, rows, switches), "5", "4");
    REFUSED(cnv_max_pool_switches(x, &wide, y, switches), "12", "9");
    REFUSED(cnv_max_pool_switches(x, &win, y, view), "3", "2");
    REFUSED(cnv_max_pool_switches(&none, &win, y, switches), "0", "");
    REFUSED(cnv_max_pool_forward(x, &far, y), "9", "7");
    REFUSED(cnv_avg_pool_forward(x, &far, 0, y), "9", "7");
    REFUSED(cnv_max_pool_backward(rows, switches, &win, x), "5", "4");
    REFUSED(cnv_max_pool_backward(y, rows, &win, x), "5", "4");
    REFUSED(cnv_max_pool_backward(y, switches, &win, dx4), "4", "3");
    REFUSED(cnv_max_pool_backward(y, switches, &win, dx11), "5", "4");
    REFUSED(cnv_max_pool_backward(y, switches, &win, &none), "0", "");
    REFUSED(cnv_avg_pool_forward(x, &wide, 1, y), "12", "9");
    REFUSED(cnv_avg_pool_forward(x, &win, 1, view), "3", "2");
    REFUSED(cnv_avg_pool_backward(rows, &win, 1, x), "5", "4");
    REFUSED(cnv_avg_pool_backward(y, &win, 1, dx4), "4", "3");
    REFUSED(cnv_avg_pool_backward(y, &win, 1, &none), "0", "");
    REFUSED(cnv_adaptive_avg_pool_forward(x, 0, 1, y), "0", "1");
    REFUSED(cnv_adaptive_avg_pool_forward(x, 1, -1, y), "-1", "1");
    REFUSED(cnv_adaptive_avg_pool_forward(x, 4, 3, view), "3", "2");
    REFUSED(cnv_adaptive_avg_pool_backward(y, dx4), "4", "3");
    REFUSED(cnv_adaptive_avg_pool_backward(y, &none), "0", "");
    free_samples();
}

static void refuse_norms(void)
{
    cnv_tensor *x = sample(2, 13, 5, 7), *c = sample(1, 13, 1, 1), *c11 = sample(1, 11, 1, 1);
    cnv_tensor *y = sample(1, 2, 3, 4), *other = sample(2, 13, 5, 8);
    cnv_tensor *view = sample_view(2, 13, 5, 6), *saved = sample(2, 13, 1, 1);
    cnv_tensor *saved11 = sample(2, 11, 1, 1), *saved26 = sample(2, 26, 1, 1);
    REFUSED(cnv_batch_norm_forward(x, c11, c, c, c, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_forward(x, c, c11, c, c, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_forward(x, c, c, c11, c, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_forward(x, c, c, c, c11, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_forward(x, c, c, c, c, 0.1, view), "7", "6");
    REFUSED(cnv_batch_norm_backward(x, c11, c, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_backward(x, c, c11, 0.1, y), "11", "13");
    REFUSED(cnv_batch_norm_train_forward(x, c11, c, 0.1, 0.1, c, c, y, saved), "11", "13");
    REFUSED(cnv_batch_norm_train_forward(x, c, c11, 0.1, 0.1, c, c, y, saved), "11", "13");
    REFUSED(cnv_batch_norm_train_forward(x, c, c, 0.1, 0.1, c11, c, y, saved), "11", "13");
    REFUSED(cnv_batch_norm_train_forward(x, c, c, 0.1, 0.1, c, c11, y, saved), "11", "13");
    REFUSED(cnv_batch_norm_train_backward(x, saved11, c, x, y, c, c), "2", "");
    REFUSED(cnv_batch_norm_train_backward(x, saved, c11, x, y, c, c), "11", "13");
    REFUSED(cnv_batch_norm_train_backward(x, saved, c, other, y, c, c), "8", "7");
    REFUSED(cnv_batch_norm_train_backward(x, saved, c, x, y, c11, c), "11", "13");
    REFUSED(cnv_batch_norm_train_backward(x, saved, c, x, y, c, c11), "11", "13");
    REFUSED(cnv_instance_norm_forward(x, c11, c, 0.1, y, saved), "11", "13");
    REFUSED(cnv_instance_norm_forward(x, c, c11, 0.1, y, saved), "11", "13");
    REFUSED(cnv_instance_norm_backward(x, saved, c, x, y, c, c), "26", "");
    REFUSED(cnv_instance_norm_backward(x, saved26, c, other, y, c, c), "8", "7");
    REFUSED(cnv_instance_norm_backward(x, saved26, c, x, y, c11, c), "11", "13");
    REFUSED(cnv_local_response_norm_forward(x, 0, 1, 1, 1, y, other), "0", "");
    REFUSED(cnv_local_response_norm_forward(x, 5, 1, 1, 1, view, other), "7", "6");
    REFUSED(cnv_local_response_norm_backward(x, other, 5, 1, 1, x, y), "8", "7");
    REFUSED(cnv_local_response_norm_backward(x, x, 5, 1, 1, other, y), "8", "7");
    REFUSED(cnv_local_response_norm_backward(x, x, -5, 1, 1, x, y), "-5", "");
    free_samples();
}

static void refuse_losses(void)
{
    cnv_tensor *logits = sample(2, 10, 1, 1), *maps = sample(2, 10, 3, 1), *d = sample(1, 2, 3, 4);
    cnv_tensor *view = sample_view(2, 9, 1, 1);
    int high[2] = {3, 10}, low[2] = {-1, 3}, fine[2] = {0, 9};
    double loss = 7;
    REFUSED(cnv_cross_entropy(logits, high, &loss, d), "10", "");
    REFUSED(cnv_cross_entropy(logits, low, &loss, d), "-1", "10");
    REFUSED(cnv_cross_entropy(maps, fine, &loss, d), "3", "");
    REFUSED(cnv_cross_entropy(logits, fine, &loss, view), "10", "9");
    CHECK(cnv_cross_entropy(logits, fine, &loss, NULL), "%s", cnv_error());
    free_samples();
}

static void refuse_joins(void)
{
    cnv_tensor *x = sample(2, 3, 5, 7), *y = sample(1, 2, 3, 4), *tall = sample(2, 3, 6, 7);
    cnv_tensor *wide = sample(2, 3, 5, 8), *more = sample(4, 3, 5, 7), *part = sample(2, 2, 5, 7);
    cnv_tensor *view = sample_view(2, 5, 5, 7), *narrow = sample(2, 3, 5, 6), none = {0};
    cnv_tensor endless = cnv_tensor_view(x->data, 2, INT_MAX, 1, 1);
    cnv_tensor eight = cnv_tensor_view(x->data, 2, 8, 1, 1); /* 2 * INT_MAX + 8 wraps to 6 */
    const cnv_tensor *rows[2], *columns[2], *images[2], *pair[2], *channels[3];
    rows[0] = columns[0] = images[0] = pair[0] = pair[1] = x;
    rows[1] = tall, columns[1] = wide, images[1] = more, channels[0] = channels[1] = &endless;
    channels[2] = &eight;
    REFUSED(cnv_concat_forward(rows, 2, y), "6", "5");
    REFUSED(cnv_concat_forward(columns, 2, y), "8", "7");
    REFUSED(cnv_concat_forward(images, 2, y), "4", "2");
    REFUSED(cnv_concat_forward(pair, 0, y), "0", "");
    REFUSED(cnv_concat_forward(pair, 2, view), "6", "5");
    REFUSED(cnv_concat_forward(channels, 2, y), "", "");
    REFUSED(cnv_concat_forward(channels, 3, view), "", "");
    CHECK(!strstr(cnv_error(), "x 6 x"), "the sum of channels wrapped: %s", cnv_error());
    REFUSED(cnv_concat_backward(x, -1, part), "-1", "3");
    REFUSED(cnv_concat_backward(x, 2, part), "2", "3");
    REFUSED(cnv_concat_backward(x, INT_MAX, part), "2147483647", "3");
    REFUSED(cnv_concat_backward(x, 0, narrow), "7", "6");
    REFUSED(cnv_concat_backward(x, 0, &none), "0", "3");
    free_samples();
}

static void refuse_borders(void)
{
    cnv_tensor *x = sample(2, 3, 5, 7), *y = sample(1, 2, 3, 4), *d = sample(2, 3, 11, 14);
    cnv_tensor *view = sample_view(2, 3, 7, 8), *narrow = sample(2, 3, 9, 4);
    cnv_tensor *d9 = sample(2, 3, 9, 11);
    REFUSED(cnv_upsample_forward(x, 0, y), "0", "");
    REFUSED(cnv_upsample_forward(x, -2, y), "-2", "");
    REFUSED(cnv_upsample_forward(x, INT_MAX, y), "2147483647", "");
    REFUSED(cnv_upsample_forward(x, 1 << 30, y), "1073741824", "");
    REFUSED(cnv_upsample_forward(x, 2, view), "10", "7");
    REFUSED(cnv_upsample_backward(d, 2, y), "11", "");
    REFUSED(cnv_reflect_pad_forward(x, -1, y), "-1", "");
    REFUSED(cnv_reflect_pad_forward(x, 5, y), "5", "");
    REFUSED(cnv_reflect_pad_forward(narrow, 4, y), "4", "");
    REFUSED(cnv_reflect_pad_forward(x, INT_MAX, y), "2147483647", "");
    REFUSED(cnv_reflect_pad_forward(x, 2, view), "9", "7");
    REFUSED(cnv_reflect_pad_backward(d, 6, y), "6", "");
    REFUSED(cnv_reflect_pad_backward(d9, 4, y), "4", "");
    CHECK(cnv_reflect_pad_forward(x, 4, y), "%s", cnv_error());
    free_samples();
}

/* An instruction set that does not exist changes nothing. */
static void refuse_instruction_sets(void)
{
    CHECK(cnv_use("scalar"), "%s", cnv_error());
    REFUSED(cnv_use("avx1024"), "avx1024", "");
    CHECK(!strcmp(cnv_using(), "scalar"), "%s", cnv_using());
    CHECK(cnv_use("auto"), "%s", cnv_error());
    CHECK(strcmp(cnv_using(), "auto") != 0, "%s", cnv_using());
}

int main(void)
{
    refuse_tensors();
    refuse_windows();
    refuse_forward();
    refuse_backward();
    refuse_columns();
    refuse_linear();
    refuse_elementwise();
    refuse_pools();
    refuse_norms();
    refuse_losses();
    refuse_joins();
    refuse_borders();
    refuse_instruction_sets();
    CHECK(memory_live == 0, "%ld blocks were never freed", memory_live);
    return check_report();
}
