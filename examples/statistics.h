/* statistics.h: is a difference more than chance? Mean, variance, and Welch's t-test.

       p = statistics_p(x, 20, y, 20);       // two-sided; below .05: hardly chance             */
#ifndef STATISTICS_H
#define STATISTICS_H

#include <math.h>

static inline double statistics_mean(const double *x, int n)
{
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += x[i];
    return sum / n;
}

/* The unbiased one: the sum of squares over n - 1. */
static inline double statistics_variance(const double *x, int n)
{
    double mean = statistics_mean(x, n), sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sum / (n - 1) : 0;
}

/* The probability that |t| of f degrees of freedom is greater still. With t = sqrt(f) tan(angle),
   Student's density is proportional to cos(angle)^(f - 1): its integral over the tail, by the
   midpoint rule, divided by that over everything. */
static inline double statistics_tail(double t, double f)
{
    double half = asin(1), start = atan(fabs(t) / sqrt(f)), tail = 0, all = 0;
    int i, steps = 20000;
    for (i = 0; i < steps; i++) {
        double u = (i + 0.5) / steps;
        tail += pow(cos(start + u * (half - start)), f - 1) * (half - start);
        all += pow(cos(u * half), f - 1) * half;
    }
    return tail / all;
}

/* Welch's t-test (1947), two-sided: the probability that samples of n and m numbers from normal
   distributions with one mean, but perhaps two variances, have means as far apart as these. Samples
   without any variance: 1 if they are equal, else 0. */
static inline double statistics_p(const double *x, int n, const double *y, int m)
{
    double a = statistics_variance(x, n) / n, b = statistics_variance(y, m) / m;
    double apart = statistics_mean(x, n) - statistics_mean(y, m);
    if (a + b <= 0) return fabs(apart) < 1e-12;
    return statistics_tail(apart / sqrt(a + b),
                           (a + b) * (a + b) / (a * a / (n - 1) + b * b / (m - 1)));
}

#endif
