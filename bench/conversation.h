/* What a peer written in C is: another library that computes the same convolutions, as a program of
   its own that bench.c starts, one process for each instruction set, and talks to through its
   standard input and output. Each library thus chooses its code once, when it starts, as it wants
   to; and Python and JavaScript can take part like C (pytorch.py, onnxruntime.js). One more peer is
   one more such program, a line in peer_kinds and one in libraries. Line by line:

       the peer begins:   oneDNN 2.6.3
       prepare forward 1 64 27 27 192 5 1 2       N C H W K R stride pad      -> ready, or refused
       output forward                     computes once      -> as many floats as the output has
       run forward nchw wall 40 0.04      at most 40 calls in some 0.04 s  -> seconds of each call
       forget                             all that was prepared               -> ready

   Operations are forward, backward_data and backward_weights. Layouts are nchw, where activations
   come and go as the rest of the program has them, and own, where they lie as the library likes
   them best. Clocks: wall, and cpu, the process's own time. One can talk to a peer oneself:
       printf 'prepare forward 1 64 27 27 192 5 1 2\nrun forward nchw wall 9 1\n' | \
           build/peers/onednn */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "numbers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, OPERATIONS } operation;
static const char *const operation_names[] = {"forward", "backward_data", "backward_weights"};

/* A convolution [N,C,H,W] -> [N,K,P,Q] with filters [K,C,R,R]. */
typedef struct {
    int n, c, h, w, k, r, stride, pad, p, q;
} shape;

/* What a peer can do; each operation is prepared for one shape at a time. */
typedef struct {
    const char *(*name)(void); /* and version */
    void (*prepare)(operation op, const shape *s);
    void (*run)(operation op, int own_layout);
    const float *(*output)(operation op); /* as NCHW, after a run */
    void (*forget)(void);
} peer_program;

static void stop(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* How many numbers, in NCHW and KCRR. */
static size_t count_x(const shape *s) { return (size_t)s->n * s->c * s->h * s->w; }
static size_t count_y(const shape *s) { return (size_t)s->n * s->k * s->p * s->q; }
static size_t count_weights(const shape *s) { return (size_t)s->k * s->c * s->r * s->r; }

static size_t count_output(operation op, const shape *s)
{
    return op == FORWARD ? count_y(s) : op == BACKWARD_DATA ? count_x(s) : count_weights(s);
}

static operation parse_operation(const char *name)
{
    int op;
    for (op = 0; op < OPERATIONS; op++)
        if (!strcmp(name, operation_names[op])) return (operation)op;
    stop("there is no operation %s", name);
    return OPERATIONS;
}

static void run_calls(const peer_program *peer, operation op, int own, clockid_t clock, int calls,
                      double seconds)
{
    double start = now(clock), before, after;
    do {
        before = now(clock);
        peer->run(op, own);
        after = now(clock);
        printf("%.9f ", after - before);
    } while (--calls > 0 && after - start < seconds);
    puts("");
}

static void answer(const peer_program *peer, shape *shapes, const char *line)
{
    char name[32], layout[8], clock[8];
    double seconds;
    int calls;
    shape s;
    if (sscanf(line, "prepare %31s %d %d %d %d %d %d %d %d", name, &s.n, &s.c, &s.h, &s.w, &s.k,
               &s.r, &s.stride, &s.pad) == 9) {
        s.p = (s.h + 2 * s.pad - s.r) / s.stride + 1, s.q = (s.w + 2 * s.pad - s.r) / s.stride + 1;
        shapes[parse_operation(name)] = s;
        peer->prepare(parse_operation(name), &s);
        puts("ready");
    } else if (sscanf(line, "output %31s", name) == 1) {
        operation op = parse_operation(name);
        peer->run(op, 0);
        fwrite(peer->output(op), sizeof(float), count_output(op, shapes + op), stdout);
    } else if (sscanf(line, "run %31s %7s %7s %d %lf", name, layout, clock, &calls,
                      &seconds) == 5) {
        run_calls(peer, parse_operation(name), !strcmp(layout, "own"),
                  strcmp(clock, "cpu") ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, calls,
                  seconds);
    } else if (!strcmp(line, "forget\n")) {
        peer->forget();
        puts("ready");
    } else
        stop("\"%s\" is not understood", line);
    fflush(stdout);
}

static int converse(const peer_program *peer)
{
    static shape shapes[OPERATIONS];
    char line[256];
    printf("%s\n", peer->name());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) answer(peer, shapes, line);
    return 0;
}

#endif
