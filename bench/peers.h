/* The bench's side of the conversation that conversation.h describes: it starts the other
   libraries' programs, has them compute what we compute, and compares the results. */
#ifndef PEERS_H
#define PEERS_H

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <sched.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PEERS = 4, PEER_COMMANDS = 2 };

typedef struct {
    const char *name, *install, *commands[PEER_COMMANDS][3]; /* the first that works */
    int widest; /* it cannot be held to an instruction set, and takes the widest of this CPU */
} peer_kind;

static const peer_kind peer_kinds[PEERS] = {
    {"oneDNN", "apt-get install libdnnl-dev; make bench", {{"build/peers/onednn"}}, 0},
    {"OpenBLAS", "apt-get install libopenblas-dev; make bench", {{"build/peers/openblas"}}, 0},
    {"PyTorch", "apt-get install python3-torch, or pip install torch",
     {{"python3", "bench/pytorch.py"}, {"/usr/bin/python3", "bench/pytorch.py"}}, 0},
    {"ONNX Runtime", "npm install --ignore-scripts --prefix build/peers onnxruntime-node",
     {{"node", "bench/onnxruntime.js"}}, 1},
};

typedef struct {
    const peer_kind *kind;
    char version[64]; /* "oneDNN 2.6.3"; empty if it is absent */
    pid_t process;
    FILE *to, *from;
} peer;

/* ---- Starting and stopping ---- */

/* Each library reads its own variables, once, when it is loaded. Waiting threads of OpenBLAS spin
   for 2^26 cycles if nobody tells them otherwise, into the turn of whoever comes next. */
static void set_variables(const char *set)
{
    char threads[16];
    int wide = !strcmp(set, "avx512");
    snprintf(threads, sizeof threads, "%d", cnv__threads());
    setenv("OMP_NUM_THREADS", threads, 1);
    setenv("OPENBLAS_NUM_THREADS", threads, 1);
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 0);
    if (!wide && strcmp(set, "avx2")) return; /* there is only one NEON */
    setenv("DNNL_MAX_CPU_ISA", wide ? "AVX512_CORE" : "AVX2", 1);
    setenv("ATEN_CPU_CAPABILITY", wide ? "avx512" : "avx2", 1);
    setenv("OPENBLAS_CORETYPE", wide ? "SKYLAKEX" : "HASWELL", 1);
}

/* OMP_PROC_BIND may have bound this process to one processor; a peer binds its threads itself. */
static void free_processors(void)
{
#ifdef __linux__
    cpu_set_t all;
    memset(&all, 0xFF, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
#endif
}

static void launch(peer *p, const char *const *command, const char *set)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from)) fail("cannot make a pipe: %s", strerror(errno));
    fcntl(to[1], F_SETFD, FD_CLOEXEC), fcntl(from[0], F_SETFD, FD_CLOEXEC); /* ours alone */
    if ((p->process = fork()) < 0) fail("cannot start a process: %s", strerror(errno));
    if (!p->process) {
        dup2(to[0], 0), dup2(from[1], 1);
        close(to[0]), close(from[1]);
        free_processors();
        set_variables(set);
        execvp(command[0], (char *const *)command);
        _exit(127);
    }
    close(to[0]), close(from[1]);
    p->to = fdopen(to[1], "w"), p->from = fdopen(from[0], "r");
    if (!p->to || !p->from) fail("cannot talk to a process: %s", strerror(errno));
}

/* At the end of its input a peer ends. */
static void stop_peer(peer *p)
{
    if (!p->to) return;
    fclose(p->to), fclose(p->from);
    waitpid(p->process, NULL, 0);
    memset(p, 0, sizeof *p);
}

/* If no command begins the conversation, the peer is absent. */
static void start_peer(peer *p, const peer_kind *kind, const char *set)
{
    int i;
    signal(SIGPIPE, SIG_IGN); /* a peer that dies is noticed when it doesn't answer */
    for (i = 0; i < PEER_COMMANDS && kind->commands[i][0]; i++) {
        launch(p, kind->commands[i], set);
        p->kind = kind;
        if (fgets(p->version, sizeof p->version, p->from)) {
            p->version[strcspn(p->version, "\n")] = 0;
            return;
        }
        stop_peer(p);
    }
}

/* ---- Asking ---- */

static void ask(const peer *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(p->to, format, arguments);
    va_end(arguments);
    fputc('\n', p->to);
    fflush(p->to);
}

/* Returns 0 if it refuses. */
static int is_ready(const peer *p)
{
    char line[16] = "";
    if (fgets(line, sizeof line, p->from) && !strcmp(line, "refused\n")) return 0;
    if (strcmp(line, "ready\n")) fail("%s stopped or answered \"%s\"", p->version, line);
    return 1;
}

/* Returns 0 if it has no such operation. */
static int prepare_peer(const peer *p, const char *operation, const conv_layer *l, int batch)
{
    ask(p, "prepare %s %d %d %d %d %d %d %d %d", operation, batch, l->c, l->h, l->w, l->k,
        l->kernel, l->stride, l->pad);
    return is_ready(p);
}

static void forget_prepared(const peer *p)
{
    ask(p, "forget");
    is_ready(p);
}

/* The peer's times of up to that many calls, at least one. */
static int run_peer(const peer *p, const char *operation, const char *layout, const char *clock,
                    int calls, double length, double *seconds)
{
    char line[2048], *from = line, *end;
    int count = 0;
    ask(p, "run %s %s %s %d %g", operation, layout, clock, calls, length);
    if (!fgets(line, sizeof line, p->from)) fail("%s stopped", p->version);
    for (; count < calls; count++, from = end) {
        seconds[count] = strtod(from, &end);
        if (end == from) break;
    }
    if (!count) fail("%s answered \"%s\"", p->version, line);
    return count;
}

/* ---- Do they compute the same? ----

   Rounding: a sum of n products differs by a few eps * (sum of their absolute values), and the
   products of our random numbers are 1/16 on average. Winograd's transforms lose some 5 bits more.
   Another padding, stride or filter order would differ by sqrt(n)/12: by far more. */
static void compare_output(const peer *p, const char *operation, const float *ours, size_t size,
                           double products)
{
    float *theirs = malloc(size * sizeof *theirs);
    double bound = 256 * FLT_EPSILON * products / 16, worst = 0, d;
    size_t i;
    if (!theirs) fail("not enough memory");
    ask(p, "output %s", operation);
    if (fread(theirs, sizeof *theirs, size, p->from) != size) fail("%s stopped", p->version);
    for (i = 0; i < size; i++) {
        d = fabs(ours[i] - theirs[i]);
        if (d > worst || d != d) worst = d; /* a NaN stays */
    }
    if (!(worst <= bound))
        fail("%s and cnnvis do not compute the same %s: they differ by %g, rounding by %g",
             p->version, operation, worst, bound);
    free(theirs);
}

#endif
