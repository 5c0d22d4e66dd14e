/* toybox.h: a world of small pictures with ground truth, drawn from a seed.

   A photograph can never say where a network *should* have looked. These pictures can: every
   scene shows one cartoon object of one of twelve classes, and comes with its class, the mask of
   the object, a map of its parts, named key points, and the attributes it was drawn from. Colour,
   texture, background and distractors are drawn independently of the class: only shape tells.

       #include <stdio.h>                                           // cc -O2 me.c -lm
       #include "toybox.h"

       static float rgb[3 * TOY_SIDE * TOY_SIDE];                   // [3][side][side] in [0,1]
       static unsigned char mask[TOY_SIDE * TOY_SIDE];              // 1 on the object

       int main(void) {
           toy_scene scene = toy_make(42, NULL);                    // decide everything ...
           toy_render(&scene, TOY_SIDE, rgb, mask, NULL);           // ... and draw it
           printf("%s at %.2f %.2f\n", toy_class_names[scene.class_id], scene.x, scene.y);
           scene.rotation = 0;                                      // what if it stood upright?
           toy_update(&scene);                                      // its key points move along
           toy_render(&scene, TOY_SIDE, rgb, mask, NULL);
       }

   class        parts, most prominent first (several recur across classes)
   fish         body tail fin stripe eye mouth bubble
   bird         body wing stripe tail eye beak leg
   car          body roof window wheel stripe light
   house        body roof window door chimney
   tree         leaf stem spot
   flower       petal centre stem leaf
   face         body hair eye cheek mouth
   star         body eye cheek mouth
   mushroom     cap spot stem eye mouth
   butterfly    wing spot body stripe antenna eye
   ring         band gem
   key          bow shaft tooth

   A scene has no resolution: coordinates run over [0,1], x to the right and y down, and
   toy_render works at any side. The same seed gives the same bytes with every compiler: integers
   come from our own generator, geometry is in double, and every blend is rounded to a fixed
   grid, so that a last bit lost on the way practically never reaches the picture. There is no
   mutable global state, no allocation, no failure.

   Contents: names, scene, random numbers, colours, signed distance shapes, canvas, the twelve
   drawings, distractors, backgrounds, make and render, landscape. */
#ifndef TOYBOX_H
#define TOYBOX_H

#include <math.h>
#include <stddef.h>
#include <string.h>

/* A scene takes half a millisecond either way: let gcc spend less time on these functions. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* ---- Names ----------------------------------------------------------------------------------- */

#define TOY_SIDE 64           /* the side at which networks see the scenes */
#define TOY_MAX_KEYS 8        /* key points of a scene, at most */
#define TOY_MAX_DISTRACTORS 8 /* distractors of a scene, at most */
#define TOY_TAU 6.283185307179586

enum {
    TOY_FISH, TOY_BIRD, TOY_CAR, TOY_HOUSE, TOY_TREE, TOY_FLOWER,
    TOY_FACE, TOY_STAR, TOY_MUSHROOM, TOY_BUTTERFLY, TOY_RING, TOY_KEY,
    TOY_CLASSES
};
static const char *const toy_class_names[TOY_CLASSES] = {
    "fish", "bird", "car", "house", "tree", "flower",
    "face", "star", "mushroom", "butterfly", "ring", "key"
};

enum {
    TOY_NO_PART, TOY_BODY, TOY_EYE, TOY_WHEEL, TOY_WINDOW, TOY_DOOR, TOY_ROOF, TOY_CHIMNEY,
    TOY_PETAL, TOY_CENTRE, TOY_LEAF, TOY_STEM, TOY_STRIPE, TOY_SPOT, TOY_WING, TOY_TAIL,
    TOY_FIN, TOY_BEAK, TOY_LEG, TOY_MOUTH, TOY_CHEEK, TOY_HAIR, TOY_CAP, TOY_ANTENNA,
    TOY_LIGHT, TOY_BAND, TOY_GEM, TOY_BOW, TOY_SHAFT, TOY_TOOTH, TOY_BUBBLE,
    TOY_PARTS
};
static const char *const toy_part_names[TOY_PARTS] = {
    "none", "body", "eye", "wheel", "window", "door", "roof", "chimney",
    "petal", "centre", "leaf", "stem", "stripe", "spot", "wing", "tail",
    "fin", "beak", "leg", "mouth", "cheek", "hair", "cap", "antenna",
    "light", "band", "gem", "bow", "shaft", "tooth", "bubble"
};

enum {
    TOY_GRADIENT, TOY_CLOUDS, TOY_STRIPES, TOY_CHECKS, TOY_DOTS, TOY_HILLS, TOY_WATER,
    TOY_BACKGROUNDS
};
static const char *const toy_background_names[TOY_BACKGROUNDS] = {
    "gradient", "clouds", "stripes", "checks", "dots", "hills", "water"
};

enum { TOY_PLAIN, TOY_STRIPED, TOY_DOTTED, TOY_TEXTURES };

enum { /* distractors: TOY_NOTHING is not drawn, the first three may also occlude the object */
    TOY_NOTHING, TOY_DISC, TOY_POLYGON, TOY_BAR, TOY_SQUIGGLE, TOY_HOOP, TOY_LOOSE_WHEEL,
    TOY_LOOSE_ROOF, TOY_LOOSE_WINDOW, TOY_LOOSE_LEAF, TOY_LOOSE_EYE,
    TOY_THINGS
};

enum { TOY_UNBIASED, TOY_BIASED_WATER, TOY_BIASED_MARKER };

/* ---- Scene ----------------------------------------------------------------------------------- */

typedef struct {
    int part;    /* the part it lies on */
    double x, y; /* in [0,1] scene coordinates */
    int visible; /* 1 unless outside the picture or behind the occluder */
} toy_key_point;

/* A distractor: something with edges that belongs to no class. */
typedef struct {
    int kind;                 /* TOY_DISC ...; TOY_NOTHING is not drawn */
    double x, y;              /* its centre */
    double size;              /* its radius, 0.045..0.11; of the occluder up to 0.3 */
    double rotation, hue;     /* radians; hue in [0,1) */
    unsigned long long shape; /* seeds what is left to chance, as a polygon's number of sides */
} toy_thing;

/* Everything about a scene. toy_render draws from these fields and nothing else: edit them to ask
   "what if", then call toy_update, which recomputes the fields marked *. */
typedef struct {
    unsigned long long seed;   /* the scene's number; also seeds small details of the drawing */
    int class_id;              /* TOY_FISH ... TOY_KEY */
    double x, y;               /* centre of the object, in [0,1] */
    double scale;              /* scene lengths per drawing unit; objects are about 2 units wide */
    double rotation;           /* radians clockwise, -0.6..0.6 */
    double stretch;            /* width of the drawing's unit over its nominal, 0.9..1.1 */
    int mirror;                /* 1 if it looks to the right */
    double hue, hue2;          /* of the body and of the second colour, [0,1) */
    double lightness;          /* of the body, 0.66..0.80 */
    int texture;               /* TOY_PLAIN, TOY_STRIPED, TOY_DOTTED */
    double light;              /* where the light comes from: angle in radians, mostly above */
    double shading;            /* strength of the shading, 0.5..1 */
    double brightness;         /* added to the picture, -0.06..0.06 */
    double contrast;           /* of the picture about middle grey, 0.75..1.1 */
    int background;            /* TOY_GRADIENT ... TOY_WATER */
    double ground_hue;         /* of the background, [0,1), not that of the body; not used by
                                  hills and water */
    double ground_angle;       /* of stripes and checks, radians */
    double ground_size;        /* of its pattern, 0.08..0.25 */
    int clutter;               /* how many distractors, 0..TOY_MAX_DISTRACTORS */
    toy_thing distractor[TOY_MAX_DISTRACTORS]; /* behind the object */
    toy_thing occluder;        /* in front of it, or TOY_NOTHING */
    int marker;                /* 1 if the cheat is present: a yellow and magenta square of side
                                  0.11, its centre 0.07 from two edges of the picture */
    int marker_corner;         /* 0..3: top left, top right, bottom left, bottom right */
    double area;               /* * share of the picture that is visible object, 0.06..0.20 */
    double occlusion;          /* * share of the object that the occluder hides, 0..0.2 */
    int key_points;            /* * how many, 4..6: the same points, in the same order, in every
                                  scene of a class */
    toy_key_point key[TOY_MAX_KEYS]; /* * */
} toy_scene;

typedef struct {
    int class_id;            /* -1: any class, equally often */
    int biased;              /* TOY_BIASED_WATER: fish stand before water, and nothing else does;
                                TOY_BIASED_MARKER: cars have the marker, and nothing else does */
    int favourite;           /* this class ... */
    double favourite_share;  /* ... is chosen with this probability, before all are alike; 0: off */
    double min_size, max_size; /* share of the picture the object covers, 0.06 and 0.20 */
    int max_clutter;         /* distractors, at most; 0: none */
    double occluders;        /* share of the scenes with something in front of the object, 0.2 */
} toy_options;

static inline toy_options toy_defaults(void) {
    toy_options options = { -1, TOY_UNBIASED, TOY_FACE, 0.0, 0.06, 0.20, TOY_MAX_DISTRACTORS, 0.2 };
    return options;
}

/* ---- Random numbers -------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): a counter, scrambled. Draw one number per statement: the
   order in which C evaluates the arguments of a call is not defined. */
typedef struct { unsigned long long state; } toy_random;

static inline unsigned long long toy_next(toy_random *r) {
    unsigned long long z = r->state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

/* uniform in [low, high) */
static inline double toy_uniform(toy_random *r, double low, double high) {
    return low + (high - low) * ((double)(toy_next(r) >> 11) / 9007199254740992.0);
}

/* uniform in 0 .. n-1 */
static inline int toy_choice(toy_random *r, int n) {
    return (int)((toy_next(r) >> 33) % (unsigned)n);
}

/* a generator of its own for each purpose, so that one more draw here changes nothing there */
static inline toy_random toy_stream(unsigned long long seed, unsigned long long purpose) {
    toy_random r = { seed * 0xD1342543DE82EF95ULL + purpose };
    r.state = toy_next(&r);
    return r;
}

static inline double toy_min(double a, double b) { return a < b ? a : b; }
static inline double toy_max(double a, double b) { return a > b ? a : b; }

static inline double toy_clamp(double v, double low, double high) {
    return v < low ? low : v > high ? high : v;
}

static inline double toy_mix(double a, double b, double t) { return a + (b - a) * t; }

/* from 0 to 1 over [0,1], level at both ends */
static inline double toy_ease(double t) { return t * t * (3 - 2 * t); }

/* 0 below low, 1 above high, smooth between */
static inline double toy_smoothstep(double low, double high, double v) {
    return toy_ease(toy_clamp((v - low) / (high - low), 0, 1));
}

/* Value noise in [0,1]: random values on the integer lattice, smoothly interpolated. */
static inline double toy_lattice(unsigned seed, int x, int y) {
    unsigned h = seed + (unsigned)x * 0x9E3779B1U + (unsigned)y * 0x85EBCA77U;
    h = (h ^ (h >> 15)) * 0x2C1B3C6DU;
    h = (h ^ (h >> 12)) * 0x297A2D39U;
    return (h ^ (h >> 15)) / 4294967295.0;
}

static inline double toy_noise(unsigned seed, double x, double y) {
    int i = (int)x - (x < 0), j = (int)y - (y < 0);
    double u = toy_ease(x - i), v = toy_ease(y - j);
    double top = toy_mix(toy_lattice(seed, i, j), toy_lattice(seed, i + 1, j), u);
    double bottom = toy_mix(toy_lattice(seed, i, j + 1), toy_lattice(seed, i + 1, j + 1), u);
    return toy_mix(top, bottom, v);
}

/* Fractal noise in [0,1]: octaves of twice the frequency and half the weight. */
static inline double toy_fractal(unsigned seed, double x, double y, int octaves) {
    double sum = 0, weight = 1, total = 0;
    for (int o = 0; o < octaves; o++) {
        sum += weight * toy_noise(seed + (unsigned)o, x, y);
        total += weight;
        weight *= 0.5;
        x = 2 * x + 17.3;
        y = 2 * y - 9.1;
    }
    return sum / total;
}

/* ---- Colours --------------------------------------------------------------------------------- */

typedef struct { double r, g, b; } toy_rgb;

/* A colour by hue in [0,1), chroma (0 grey, 0.15 vivid) and lightness in [0,1], through the OKLab
   space (Ottosson 2020), where equal lightness also looks equally light. Gamma is 2. */
static inline toy_rgb toy_colour(double hue, double chroma, double lightness) {
    double a = chroma * cos(TOY_TAU * hue), b = chroma * sin(TOY_TAU * hue);
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    toy_rgb c = { 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
                  -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
                  -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s };
    c.r = sqrt(toy_clamp(c.r, 0, 1));
    c.g = sqrt(toy_clamp(c.g, 0, 1));
    c.b = sqrt(toy_clamp(c.b, 0, 1));
    return c;
}

/* A strong colour. Yellow turns to mud when dark, blue to milk when light: so lightness follows. */
static inline toy_rgb toy_vivid(double hue, double lightness) {
    return toy_colour(hue, 0.15, lightness + 0.07 * cos(TOY_TAU * (hue - 0.28)));
}

static inline toy_rgb toy_blend(toy_rgb a, toy_rgb b, double t) {
    toy_rgb c = { toy_mix(a.r, b.r, t), toy_mix(a.g, b.g, t), toy_mix(a.b, b.b, t) };
    return c;
}

static inline toy_rgb toy_brighten(toy_rgb c, double factor) {
    toy_rgb brighter = { c.r * factor, c.g * factor, c.b * factor };
    return brighter;
}

/* ---- Signed distance shapes ------------------------------------------------------------------ */

/* A shape is a function: the distance to its outline, negative inside. Everything in the pictures
   is made of these six, most of which are due to Inigo Quilez. */
enum { TOY__ELLIPSE, TOY__BOX, TOY__ANNULUS, TOY__POLYGON, TOY__STROKE, TOY__BLOB };
#define TOY__MAX_POINTS 10

typedef struct { double x, y; } toy_vec;

typedef struct toy_shape {
    int kind;
    toy_vec centre;                  /* of a circle around the shape ... */
    double reach;                    /* ... and its radius: no need to look further out */
    double cosine, sine;             /* rotation of ellipses and boxes */
    double a, b;                     /* half axes; radius and half width */
    double round;                    /* radius of corners and line ends */
    int points;
    toy_vec p[TOY__MAX_POINTS];      /* corners; centres of a blob's discs */
    double r[TOY__MAX_POINTS];       /* radii of a blob's discs */
    const struct toy_shape *within;  /* if not NULL: only the part inside that shape */
} toy_shape;

static inline toy_shape toy__shape(int kind, double x, double y, double a, double b, double angle) {
    toy_shape s;
    s.kind = kind;
    s.centre.x = x;
    s.centre.y = y;
    s.cosine = cos(angle);
    s.sine = sin(angle);
    s.a = a;
    s.b = b;
    s.reach = a > b ? a : b;
    s.round = 0;
    s.points = 0;
    s.within = NULL;
    return s;
}

static inline toy_shape toy_ellipse(double x, double y, double a, double b, double angle) {
    return toy__shape(TOY__ELLIPSE, x, y, a, b, angle);
}

static inline toy_shape toy_disc(double x, double y, double radius) {
    return toy__shape(TOY__ELLIPSE, x, y, radius, radius, 0);
}

static inline toy_shape toy_annulus(double x, double y, double radius, double half_width) {
    toy_shape s = toy__shape(TOY__ANNULUS, x, y, radius, half_width, 0);
    s.reach = radius + half_width;
    return s;
}

/* a box of half width a and half height b, with round corners */
static inline toy_shape toy_box(double x, double y, double a, double b, double round,
                                double angle) {
    toy_shape s = toy__shape(TOY__BOX, x, y, a - round, b - round, angle);
    s.reach = sqrt(a * a + b * b);
    s.round = round;
    return s;
}

/* shapes given by points x0 y0 x1 y1 ...; their circle is centred on the mean of the points */
static inline toy_shape toy__points(int kind, int points, const double *xy, double round) {
    toy_shape s = toy__shape(kind, 0, 0, 0, 0, 0);
    s.points = points;
    s.round = round;
    for (int i = 0; i < points; i++) {
        s.p[i].x = xy[2 * i];
        s.p[i].y = xy[2 * i + 1];
        s.r[i] = round;
        s.centre.x += s.p[i].x / points;
        s.centre.y += s.p[i].y / points;
    }
    for (int i = 0; i < points; i++) {
        double dx = s.p[i].x - s.centre.x, dy = s.p[i].y - s.centre.y;
        s.reach = toy_max(s.reach, sqrt(dx * dx + dy * dy) + round);
    }
    return s;
}

/* a closed polygon, convex or not, grown by `round` */
static inline toy_shape toy_polygon(int points, const double *xy, double round) {
    return toy__points(TOY__POLYGON, points, xy, round);
}

/* an open line through the points, of half width `round` */
static inline toy_shape toy_stroke(int points, const double *xy, double round) {
    return toy__points(TOY__STROKE, points, xy, round);
}

static inline toy_shape toy_line(double x0, double y0, double x1, double y1, double round) {
    double xy[4] = { x0, y0, x1, y1 };
    return toy_stroke(2, xy, round);
}

/* discs x0 y0 r0 x1 y1 r1 ... melted into one */
static inline toy_shape toy_blob(int discs, const double *xyr) {
    double xy[2 * TOY__MAX_POINTS], largest = 0;
    for (int i = 0; i < discs; i++) {
        xy[2 * i] = xyr[3 * i];
        xy[2 * i + 1] = xyr[3 * i + 1];
        largest = toy_max(largest, xyr[3 * i + 2]);
    }
    toy_shape s = toy__points(TOY__BLOB, discs, xy, largest);
    for (int i = 0; i < discs; i++) s.r[i] = xyr[3 * i + 2];
    return s;
}

/* the part of s inside `outer`, which must outlive the result */
static inline toy_shape toy_within(toy_shape s, const toy_shape *outer) {
    s.within = outer;
    return s;
}

/* Exact for a circle; first order, (value - 1) / |gradient|, for an ellipse. */
static inline double toy__ellipse(double x, double y, double a, double b) {
    if (a == b) return sqrt(x * x + y * y) - a;
    double u = x / a, v = y / b, k = sqrt(u * u + v * v);
    double gradient = sqrt(u * u / (a * a) + v * v / (b * b));
    return gradient > 1e-9 ? k * (k - 1) / gradient : -toy_min(a, b);
}

static inline double toy__box(double x, double y, double a, double b) {
    double dx = fabs(x) - a, dy = fabs(y) - b, ox = toy_max(dx, 0), oy = toy_max(dy, 0);
    return sqrt(ox * ox + oy * oy) + toy_min(toy_max(dx, dy), 0);
}

/* squared distance to the segment from p to q */
static inline double toy__segment(double x, double y, toy_vec p, toy_vec q) {
    double ex = q.x - p.x, ey = q.y - p.y, wx = x - p.x, wy = y - p.y;
    double t = toy_clamp((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1);
    double dx = wx - ex * t, dy = wy - ey * t;
    return dx * dx + dy * dy;
}

/* The nearest edge gives the distance; the number of edges that a ray to the right crosses, odd or
   even, gives the sign. */
static inline double toy__polygon(const toy_shape *s, double x, double y) {
    double nearest = 1e30, sign = 1;
    for (int i = 0, j = s->points - 1; i < s->points; j = i++) {
        toy_vec p = s->p[i], q = s->p[j];
        nearest = toy_min(nearest, toy__segment(x, y, p, q));
        if ((p.y > y) != (q.y > y) && x < (q.x - p.x) * (y - p.y) / (q.y - p.y) + p.x)
            sign = -sign;
    }
    return sign * sqrt(nearest);
}

static inline double toy__stroke(const toy_shape *s, double x, double y) {
    double nearest = 1e30;
    for (int i = 1; i < s->points; i++)
        nearest = toy_min(nearest, toy__segment(x, y, s->p[i - 1], s->p[i]));
    return sqrt(nearest);
}

/* Smooth minimum: where two discs are equally near, the outline is filled in by up to k/4. */
static inline double toy__blob(const toy_shape *s, double x, double y) {
    const double k = 0.12;
    double d = 1e30;
    for (int i = 0; i < s->points; i++) {
        double dx = x - s->p[i].x, dy = y - s->p[i].y;
        double e = sqrt(dx * dx + dy * dy) - s->r[i];
        double h = toy_max(k - fabs(d - e), 0);
        d = toy_min(d, e) - h * h / (4 * k);
    }
    return d;
}

/* The signed distance of the point (x, y) to the outline of s. */
static inline double toy_distance(const toy_shape *s, double x, double y) {
    double dx = x - s->centre.x, dy = y - s->centre.y, d;
    double u = s->cosine * dx + s->sine * dy, v = s->cosine * dy - s->sine * dx;
    switch (s->kind) {
    case TOY__ELLIPSE: d = toy__ellipse(u, v, s->a, s->b); break;
    case TOY__BOX: d = toy__box(u, v, s->a, s->b) - s->round; break;
    case TOY__ANNULUS: d = fabs(sqrt(dx * dx + dy * dy) - s->a) - s->b; break;
    case TOY__POLYGON: d = toy__polygon(s, x, y) - s->round; break;
    case TOY__STROKE: d = toy__stroke(s, x, y) - s->round; break;
    default: d = toy__blob(s, x, y);
    }
    return s->within ? toy_max(d, toy_distance(s->within, x, y)) : d;
}

/* ---- Canvas ---------------------------------------------------------------------------------- */

/* Where a drawing's own coordinates, about [-1,1], lie in the scene: scene = (x,y) + M drawing.
   sx and sy stretch the drawing before it is turned; a negative sx mirrors it. */
typedef struct { double x, y, m[4], inverse[4], scale; } toy_frame;

static inline toy_frame toy_place(double x, double y, double scale, double rotation, double sx,
                                  double sy) {
    double c = cos(rotation), s = sin(rotation), w = scale * sx, h = scale * sy;
    toy_frame f = { x, y, { c * w, -s * h, s * w, c * h }, { c / w, s / w, -s / h, c / h }, scale };
    return f;
}

static inline toy_vec toy_to_scene(const toy_frame *f, double u, double v) {
    toy_vec p = { f->x + f->m[0] * u + f->m[1] * v, f->y + f->m[2] * u + f->m[3] * v };
    return p;
}

static inline toy_vec toy_to_drawing(const toy_frame *f, double x, double y) {
    double dx = x - f->x, dy = y - f->y;
    const double *m = f->inverse;
    toy_vec p = { m[0] * dx + m[1] * dy, m[2] * dx + m[3] * dy };
    return p;
}

typedef struct {
    int side;
    double pixel;         /* 1 / side */
    float *rgb;           /* [3][side][side] or NULL */
    unsigned char *parts; /* [side][side] or NULL */
    toy_frame frame;
    toy_vec light;        /* towards the light, in drawing coordinates; length is the strength */
    toy_rgb body, second, accent, pale, dark;
    int texture;
    toy_random detail;    /* for what is left to chance in a drawing */
} toy_canvas;

/* How a shape is painted. */
typedef struct {
    toy_rgb colour;
    int part;       /* what the map of parts will say; TOY__KEEP leaves it alone */
    double ink;     /* width of the dark outline, in scene lengths */
    double shade;   /* 0 flat, 1 as strongly lit as the scene says */
    double opacity;
    int texture;
} toy_brush;
#define TOY__KEEP (-1)
#define TOY__INK 0.013 /* 0.8 pixels of 64 */

/* A blend of colours on the canvas, rounded to multiples of 2^-16, which a float holds exactly. */
static inline float toy__lay(float below, double above, double opacity) {
    double v = opacity < 1 ? toy_mix((double)below, above, opacity) : above;
    return (float)((int)(toy_clamp(v, 0, 1) * 65536.0 + 0.5) / 65536.0);
}

static inline void toy__put(toy_canvas *c, int i, toy_rgb colour, double opacity) {
    int plane = c->side * c->side;
    c->rgb[i] = toy__lay(c->rgb[i], colour.r, opacity);
    c->rgb[plane + i] = toy__lay(c->rgb[plane + i], colour.g, opacity);
    c->rgb[2 * plane + i] = toy__lay(c->rgb[2 * plane + i], colour.b, opacity);
}

/* 1 in the middle of a stripe or dot, 0 between; period 0.3 */
static inline double toy__texture(int texture, toy_vec p) {
    double u = p.x / 0.3 + 50, v = p.y / 0.3 + 50;
    u = fabs(u - (int)u - 0.5);
    v = fabs(v - (int)v - 0.5);
    if (texture == TOY_STRIPED) return toy_smoothstep(0.17, 0.33, u);
    return 1 - toy_smoothstep(0.18, 0.34, sqrt(u * u + v * v));
}

/* Colour inside a shape. Light comes from the side: a soft slope over the whole shape, and a bevel
   near its outline, where the slope of the distance says which way the surface leans. */
static inline toy_rgb toy__lit(const toy_canvas *c, const toy_shape *s, const toy_brush *b,
                               toy_vec p, double distance) {
    toy_rgb colour = b->colour;
    if (b->texture != TOY_PLAIN)
        colour = toy_brighten(colour, 1 - 0.16 * toy__texture(b->texture, p));
    if (b->shade <= 0) return colour;
    double slope = ((p.x - s->centre.x) * c->light.x + (p.y - s->centre.y) * c->light.y) / s->reach;
    double ahead = distance;
    if (distance > -0.22)
        ahead = toy_distance(s, p.x + 0.05 * c->light.x, p.y + 0.05 * c->light.y);
    double lean = 20 * (ahead - distance) * toy_smoothstep(-0.22, 0, distance);
    double lit = b->shade * (0.13 * slope + 0.20 * lean);
    toy_rgb white = { 1, 1, 0.96 };
    return lit > 0 ? toy_blend(colour, white, 1.3 * lit) : toy_brighten(colour, 1 + 1.2 * lit);
}

/* the share of a pixel that lies inside an edge at signed distance d */
static inline double toy__cover(double d, double pixel) {
    return 1 - toy_smoothstep(-0.7 * pixel, 0.7 * pixel, d);
}

static inline void toy__stamp_pixel(toy_canvas *c, const toy_shape *s, const toy_brush *b,
                                    double reach, int x, int y) {
    toy_vec p = toy_to_drawing(&c->frame, (x + 0.5) * c->pixel, (y + 0.5) * c->pixel);
    double dx = p.x - s->centre.x, dy = p.y - s->centre.y;
    if (dx * dx + dy * dy > reach * reach) return;
    double distance = toy_distance(s, p.x, p.y), d = distance * c->frame.scale;
    double cover = toy__cover(d - b->ink, c->pixel), fill = 1;
    if (cover <= 0) return;
    int i = y * c->side + x;
    if (c->parts && b->part != TOY__KEEP && d < b->ink) c->parts[i] = (unsigned char)b->part;
    if (!c->rgb) return;
    if (b->ink > 0) fill = toy__cover(d, c->pixel);
    toy_rgb colour = fill > 0 ? toy__lit(c, s, b, p, distance) : c->dark;
    toy__put(c, i, toy_blend(c->dark, colour, fill), cover * b->opacity);
}

/* Paint a shape: only the pixels around its circle are looked at. */
static inline void toy__stamp(toy_canvas *c, const toy_shape *s, const toy_brush *b) {
    toy_vec at = toy_to_scene(&c->frame, s->centre.x, s->centre.y);
    double reach = s->reach + (b->ink + c->pixel) / c->frame.scale, side = c->side;
    double far = 1.15 * reach * c->frame.scale; /* frames are stretched by less than that */
    if (!c->rgb && b->part == TOY__KEEP) return;
    int x0 = (int)toy_clamp((at.x - far) * side, 0, side);
    int x1 = (int)toy_clamp((at.x + far) * side + 1, 0, side);
    int y0 = (int)toy_clamp((at.y - far) * side, 0, side);
    int y1 = (int)toy_clamp((at.y + far) * side + 1, 0, side);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) toy__stamp_pixel(c, s, b, reach, x, y);
}

/* outlined and lit */
static inline void toy_paint(toy_canvas *c, toy_shape s, toy_rgb colour, int part) {
    toy_brush b = { colour, part, TOY__INK, 1, 1, TOY_PLAIN };
    toy__stamp(c, &s, &b);
}

/* outlined, lit, and in the texture of the scene */
static inline void toy_skin(toy_canvas *c, toy_shape s, toy_rgb colour, int part) {
    toy_brush b = { colour, part, TOY__INK, 1, 1, c->texture };
    toy__stamp(c, &s, &b);
}

/* a detail: flat, no outline */
static inline void toy_dab(toy_canvas *c, toy_shape s, toy_rgb colour, int part) {
    toy_brush b = { colour, part, 0, 0, 1, TOY_PLAIN };
    toy__stamp(c, &s, &b);
}

/* a translucent film that belongs to whatever it lies on */
static inline void toy_glaze(toy_canvas *c, toy_shape s, toy_rgb colour, double opacity) {
    toy_brush b = { colour, TOY__KEEP, 0, 0, opacity, TOY_PLAIN };
    toy__stamp(c, &s, &b);
}

/* ---- The twelve drawings --------------------------------------------------------------------- */

/* Each is a recipe, from back to front, in coordinates of about [-1,1], y down, looking left. */

static inline void toy_eye(toy_canvas *c, double x, double y, double r) {
    toy_paint(c, toy_disc(x, y, r), c->pale, TOY_EYE);
    toy_dab(c, toy_disc(x - 0.15 * r, y + 0.05 * r, 0.68 * r), c->dark, TOY_EYE);
    toy_dab(c, toy_disc(x - 0.35 * r, y - 0.3 * r, 0.3 * r), c->pale, TOY_EYE);
}

/* a button eye: dark, tall, with a glint */
static inline void toy_button(toy_canvas *c, double x, double y, double r) {
    toy_dab(c, toy_ellipse(x, y, r, 1.35 * r, 0), c->dark, TOY_EYE);
    toy_dab(c, toy_disc(x - 0.3 * r, y - 0.5 * r, 0.42 * r), c->pale, TOY_EYE);
}

static inline void toy_smile(toy_canvas *c, double x, double y, double w, double round) {
    double xy[10];
    for (int i = 0; i < 5; i++) {
        double t = (i - 2) / 2.0;
        xy[2 * i] = x + w * t;
        xy[2 * i + 1] = y + 0.6 * w * (1 - t * t);
    }
    toy_dab(c, toy_stroke(5, xy, round), c->dark, TOY_MOUTH);
}

static inline void toy_draw_fish(toy_canvas *c) {
    static const double tail[] = { 0.45, 0, 0.98, -0.42, 0.84, 0, 0.98, 0.42 };
    static const double fin[] = { -0.25, -0.38, 0.15, -0.72, 0.42, -0.66, 0.4, -0.2 };
    static const double belly[] = { 0.0, 0.36, 0.3, 0.66, 0.36, 0.3 };
    toy_shape body = toy_ellipse(-0.12, 0, 0.74, 0.48, 0);
    int stripes = 1 + toy_choice(&c->detail, 3);
    toy_paint(c, toy_polygon(4, tail, 0.06), c->second, TOY_TAIL);
    toy_paint(c, toy_polygon(4, fin, 0.05), c->second, TOY_FIN);
    toy_paint(c, toy_polygon(3, belly, 0.05), c->second, TOY_FIN);
    toy_skin(c, body, c->body, TOY_BODY);
    for (int i = 0; i < stripes; i++) {
        double x = 0.42 - 0.24 * i;
        toy_shape stripe = toy_ellipse(x - 0.1, 0, 0.06, 0.6, 0);
        toy_dab(c, toy_within(stripe, &body), c->second, TOY_STRIPE);
    }
    toy_paint(c, toy_ellipse(-0.02, 0.16, 0.19, 0.1, 0.5), c->second, TOY_FIN);
    toy_glaze(c, toy_ellipse(-0.2, -0.3, 0.32, 0.07, -0.05), c->pale, 0.5);
    toy_eye(c, -0.5, -0.1, 0.16);
    toy_dab(c, toy_line(-0.8, 0.16, -0.62, 0.2, 0.03), c->dark, TOY_MOUTH);
    toy_paint(c, toy_disc(-0.98, -0.3, 0.06), c->pale, TOY_BUBBLE);
    toy_paint(c, toy_disc(-0.86, -0.54, 0.085), c->pale, TOY_BUBBLE);
}

static inline void toy_draw_bird(toy_canvas *c) {
    static const double trunk[] = { -0.36, -0.34, 0.38, 0.02, 0.1, 0.5, 0.3, 0.08, 0.42 };
    static const double tail[] = { 0.4, -0.06, 1.0, -0.36, 1.04, -0.12, 0.94, 0.06, 0.5, 0.34 };
    static const double beak[] = { -0.68, -0.44, -1.0, -0.28, -0.66, -0.18 };
    static const double crest[] = { -0.3, -0.6, -0.14, -0.92, -0.1, -0.55 };
    toy_shape wing = toy_ellipse(0.26, 0.1, 0.38, 0.25, 0.35);
    toy_dab(c, toy_line(-0.05, 0.5, -0.12, 0.88, 0.04), c->dark, TOY_LEG);
    toy_dab(c, toy_line(0.18, 0.5, 0.15, 0.88, 0.04), c->dark, TOY_LEG);
    toy_dab(c, toy_line(-0.26, 0.9, -0.1, 0.88, 0.04), c->dark, TOY_LEG);
    toy_dab(c, toy_line(0.01, 0.9, 0.17, 0.88, 0.04), c->dark, TOY_LEG);
    toy_paint(c, toy_polygon(5, tail, 0.04), c->second, TOY_TAIL);
    toy_paint(c, toy_polygon(3, crest, 0.05), c->second, TOY_BODY);
    toy_paint(c, toy_polygon(3, beak, 0.03), c->accent, TOY_BEAK);
    toy_skin(c, toy_blob(3, trunk), c->body, TOY_BODY);
    toy_glaze(c, toy_ellipse(-0.2, 0.3, 0.2, 0.28, -0.4), c->pale, 0.55);
    toy_paint(c, wing, c->second, TOY_WING);
    for (int i = 0; i < 2; i++) {
        toy_shape stripe = toy_line(0.22 + 0.18 * i, 0.36, 0.4 + 0.16 * i, 0.02, 0.035);
        toy_dab(c, toy_within(stripe, &wing), c->body, TOY_STRIPE);
    }
    toy_eye(c, -0.45, -0.4, 0.14);
}

static inline void toy_draw_car(toy_canvas *c) {
    static const double roof[] = { -0.52, 0, -0.3, -0.46, 0.36, -0.46, 0.62, 0 };
    static const double front[] = { -0.36, -0.06, -0.22, -0.36, -0.03, -0.36, -0.03, -0.06 };
    static const double back[] = { 0.12, -0.06, 0.12, -0.36, 0.3, -0.36, 0.45, -0.06 };
    toy_skin(c, toy_polygon(4, roof, 0.08), c->body, TOY_ROOF);
    toy_skin(c, toy_box(0, 0.16, 0.96, 0.27, 0.15, 0), c->body, TOY_BODY);
    toy_dab(c, toy_box(0, 0.19, 0.86, 0.05, 0.04, 0), c->second, TOY_STRIPE);
    toy_paint(c, toy_polygon(4, front, 0.03), c->pale, TOY_WINDOW);
    toy_paint(c, toy_polygon(4, back, 0.03), c->pale, TOY_WINDOW);
    toy_paint(c, toy_disc(-0.86, 0.1, 0.09), c->accent, TOY_LIGHT);
    for (int i = 0; i < 2; i++) {
        double x = i ? 0.5 : -0.5;
        toy_paint(c, toy_disc(x, 0.42, 0.25), toy_brighten(c->dark, 1.3), TOY_WHEEL);
        toy_paint(c, toy_disc(x, 0.42, 0.12), c->pale, TOY_WHEEL);
    }
}

static inline void toy_draw_house(toy_canvas *c) {
    static const double roof[] = { -0.8, -0.1, 0, -0.82, 0.8, -0.1 };
    double side = toy_choice(&c->detail, 2) ? 1 : -1;
    toy_paint(c, toy_box(0.4, -0.55, 0.12, 0.3, 0.02, 0), c->accent, TOY_CHIMNEY);
    toy_skin(c, toy_box(0, 0.35, 0.66, 0.5, 0.03, 0), c->body, TOY_BODY);
    toy_paint(c, toy_polygon(3, roof, 0.06), c->second, TOY_ROOF);
    toy_paint(c, toy_box(-0.28, 0.52, 0.16, 0.32, 0.08, 0), c->accent, TOY_DOOR);
    toy_dab(c, toy_disc(-0.28 + 0.08 * side, 0.54, 0.04), c->pale, TOY_DOOR);
    toy_paint(c, toy_box(0.28, 0.34, 0.2, 0.19, 0.03, 0), c->pale, TOY_WINDOW);
    toy_dab(c, toy_line(0.28, 0.16, 0.28, 0.52, 0.025), c->dark, TOY_WINDOW);
    toy_dab(c, toy_line(0.1, 0.34, 0.46, 0.34, 0.025), c->dark, TOY_WINDOW);
    toy_paint(c, toy_disc(0, -0.36, 0.12), c->pale, TOY_WINDOW);
}

static inline void toy_draw_tree(toy_canvas *c) {
    static const double trunk[] = { -0.1, 0.1, 0.1, 0.1, 0.12, 0.72, 0.28, 0.94, -0.28, 0.94,
                                    -0.12, 0.72 };
    static const double crown[] = { 0, -0.3, 0.4, -0.44, -0.1, 0.28, -0.42, -0.52, 0.27,
                                    0, -0.76, 0.28, 0.42, -0.5, 0.27, 0.46, -0.08, 0.28,
                                    0, 0.08, 0.27 };
    static const double fruit[] = { -0.4, -0.16, 0.04, -0.62, 0.4, -0.44, 0.02, 0.0, -0.3, -0.58 };
    int fruits = 3 + toy_choice(&c->detail, 3);
    toy_paint(c, toy_polygon(6, trunk, 0.02), c->second, TOY_STEM);
    toy_skin(c, toy_blob(7, crown), c->body, TOY_LEAF);
    toy_glaze(c, toy_ellipse(-0.1, -0.82, 0.13, 0.07, -0.4), c->pale, 0.5);
    for (int i = 0; i < fruits; i++)
        toy_paint(c, toy_disc(fruit[2 * i], fruit[2 * i + 1], 0.085), c->accent, TOY_SPOT);
}

static inline void toy_draw_flower(toy_canvas *c) {
    static const double stem[] = { 0, -0.2, 0.05, 0.3, 0.02, 0.6, -0.04, 0.95 };
    int petals = 5 + toy_choice(&c->detail, 3);
    double turn = toy_uniform(&c->detail, 0, TOY_TAU);
    toy_paint(c, toy_stroke(4, stem, 0.055), c->second, TOY_STEM);
    toy_paint(c, toy_ellipse(-0.26, 0.56, 0.27, 0.12, 0.6), c->second, TOY_LEAF);
    toy_paint(c, toy_ellipse(0.3, 0.46, 0.27, 0.12, -0.6), c->second, TOY_LEAF);
    for (int i = 0; i < petals; i++) {
        double a = turn + i * TOY_TAU / petals;
        toy_shape petal = toy_ellipse(0.38 * cos(a), -0.34 + 0.38 * sin(a), 0.28,
                                      1.2 / petals, a);
        toy_paint(c, petal, c->body, TOY_PETAL);
    }
    toy_paint(c, toy_disc(0, -0.34, 0.22), c->accent, TOY_CENTRE);
    toy_glaze(c, toy_disc(-0.06, -0.4, 0.08), c->pale, 0.6);
}

static inline void toy_draw_face(toy_canvas *c) {
    static const double fringe[] = { -0.55, -0.58, 0.36, -0.1, -0.72, 0.36, 0.48, -0.62, 0.4 };
    toy_shape head = toy_ellipse(0, 0.14, 0.72, 0.68, 0);
    int style = toy_choice(&c->detail, 3);
    for (int i = 0; i < 2; i++) {
        double s = i ? 1 : -1;
        if (style == 1) toy_paint(c, toy_disc(s * 0.56, -0.62, 0.25), c->second, TOY_HAIR);
        if (style == 2) toy_paint(c, toy_ellipse(s * 0.7, 0.2, 0.2, 0.5, 0), c->second, TOY_HAIR);
        if (style != 2) toy_paint(c, toy_disc(s * 0.74, 0.18, 0.15), c->body, TOY_BODY);
    }
    toy_paint(c, toy_disc(0, -0.02, 0.76), c->second, TOY_HAIR);
    toy_skin(c, head, c->body, TOY_BODY);
    toy_paint(c, toy_within(toy_blob(3, fringe), &head), c->second, TOY_HAIR);
    toy_glaze(c, toy_ellipse(-0.3, -0.52, 0.2, 0.055, -0.4), c->pale, 0.5);
    toy_dab(c, toy_disc(-0.46, 0.4, 0.14), toy_blend(c->body, c->accent, 0.75), TOY_CHEEK);
    toy_dab(c, toy_disc(0.46, 0.4, 0.14), toy_blend(c->body, c->accent, 0.75), TOY_CHEEK);
    toy_eye(c, -0.27, 0.14, 0.15);
    toy_eye(c, 0.27, 0.14, 0.15);
    toy_smile(c, 0, 0.44, 0.25, 0.045);
}

static inline void toy_draw_star(toy_canvas *c) {
    double xy[20];
    for (int i = 0; i < 10; i++) {
        double r = i % 2 ? 0.48 : 0.95, a = i * TOY_TAU / 10;
        xy[2 * i] = r * sin(a);
        xy[2 * i + 1] = 0.05 - r * cos(a);
    }
    toy_skin(c, toy_polygon(10, xy, 0.08), c->body, TOY_BODY);
    toy_glaze(c, toy_ellipse(-0.1, -0.5, 0.05, 0.16, 0.3), c->pale, 0.6);
    toy_button(c, -0.18, 0.02, 0.08);
    toy_button(c, 0.18, 0.02, 0.08);
    toy_dab(c, toy_disc(-0.34, 0.17, 0.09), toy_blend(c->body, c->accent, 0.7), TOY_CHEEK);
    toy_dab(c, toy_disc(0.34, 0.17, 0.09), toy_blend(c->body, c->accent, 0.7), TOY_CHEEK);
    toy_smile(c, 0, 0.16, 0.12, 0.035);
}

static inline void toy_draw_mushroom(toy_canvas *c) {
    static const double stem[] = { -0.2, 0.1, 0.2, 0.1, 0.28, 0.78, -0.28, 0.78 };
    static const double spot[] = { 0.02, -0.5, 0.17, -0.5, -0.2, 0.15, 0.52, -0.24, 0.14,
                                   -0.12, -0.06, 0.1, 0.2, -0.02, 0.1 };
    toy_shape above = toy_box(0, -0.5, 1.2, 0.68, 0.05, 0);
    toy_shape dome = toy_ellipse(0, 0.12, 0.9, 0.92, 0), cap = toy_within(dome, &above);
    toy_paint(c, toy_polygon(4, stem, 0.1), c->pale, TOY_STEM);
    toy_skin(c, cap, c->body, TOY_CAP);
    for (int i = 0; i < 5; i++) {
        toy_shape disc = toy_disc(spot[3 * i], spot[3 * i + 1], spot[3 * i + 2]);
        toy_dab(c, toy_within(disc, &cap), c->pale, TOY_SPOT);
    }
    toy_button(c, -0.12, 0.44, 0.055);
    toy_button(c, 0.12, 0.44, 0.055);
    toy_smile(c, 0, 0.56, 0.1, 0.03);
}

static inline void toy_draw_butterfly(toy_canvas *c) {
    for (int i = 0; i < 2; i++) {
        double s = i ? 1 : -1;
        double feeler[] = { 0, -0.4, s * 0.12, -0.7, s * 0.3, -0.86 };
        toy_dab(c, toy_stroke(3, feeler, 0.03), c->dark, TOY_ANTENNA);
        toy_dab(c, toy_disc(s * 0.3, -0.86, 0.07), c->dark, TOY_ANTENNA);
        toy_paint(c, toy_ellipse(s * 0.42, 0.42, 0.36, 0.3, s * 0.8), c->second, TOY_WING);
        toy_skin(c, toy_ellipse(s * 0.52, -0.22, 0.5, 0.36, s * -0.6), c->body, TOY_WING);
        toy_paint(c, toy_disc(s * 0.6, -0.28, 0.17), c->accent, TOY_SPOT);
        toy_dab(c, toy_disc(s * 0.44, 0.44, 0.12), c->pale, TOY_SPOT);
    }
    toy_paint(c, toy_ellipse(0, 0.1, 0.12, 0.5, 0), c->accent, TOY_BODY);
    for (int i = 0; i < 3; i++) {
        double y = 0.1 + 0.17 * i;
        toy_dab(c, toy_line(-0.07, y, 0.07, y, 0.035), c->dark, TOY_STRIPE);
    }
    toy_paint(c, toy_disc(0, -0.36, 0.17), c->accent, TOY_BODY);
    toy_button(c, -0.07, -0.36, 0.04);
    toy_button(c, 0.07, -0.36, 0.04);
}

static inline void toy_draw_ring(toy_canvas *c) {
    static const double gem[] = { -0.4, -0.62, -0.22, -0.88, 0.22, -0.88, 0.4, -0.62, 0, -0.2 };
    static const double girdle[] = { -0.4, -0.62, -0.14, -0.6, 0.14, -0.6, 0.4, -0.62 };
    static const double facet[] = { -0.14, -0.6, 0, -0.24, 0.14, -0.6 };
    toy_skin(c, toy_annulus(0, 0.3, 0.5, 0.11), c->body, TOY_BAND);
    toy_paint(c, toy_box(0, -0.2, 0.2, 0.1, 0.04, 0), c->body, TOY_BAND);
    toy_paint(c, toy_polygon(5, gem, 0.03), c->second, TOY_GEM);
    toy_glaze(c, toy_polygon(3, facet, 0), c->pale, 0.6);
    toy_glaze(c, toy_stroke(4, girdle, 0.02), c->dark, 0.6);
    toy_glaze(c, toy_disc(-0.18, -0.74, 0.06), c->pale, 0.9);
}

static inline void toy_draw_key(toy_canvas *c) {
    static const double tooth[] = { 0.42, 0.2, 0.2, 0.64, 0.16, 0.15, 0.84, 0.22, 0.22 };
    for (int i = 0; i < 3; i++) {
        const double *t = tooth + 3 * i;
        toy_paint(c, toy_box(t[0], t[1], 0.07, t[2], 0.02, 0), c->body, TOY_TOOTH);
    }
    toy_skin(c, toy_box(0.3, 0, 0.68, 0.1, 0.05, 0), c->body, TOY_SHAFT);
    toy_paint(c, toy_box(-0.2, 0, 0.07, 0.19, 0.04, 0), c->second, TOY_SHAFT);
    toy_skin(c, toy_annulus(-0.62, 0, 0.3, 0.12), c->body, TOY_BOW);
}

typedef struct {
    void (*draw)(toy_canvas *);
    double area, reach;                       /* in drawing units; reach: furthest from (0,0) */
    int key_points;                           /* named points, the same in every drawing */
    struct { int part; double x, y; } key[6];
} toy_drawing;

static const toy_drawing toy_drawings[TOY_CLASSES] = {
    { toy_draw_fish, 1.91, 1.24, 6,
      { { TOY_EYE, -0.5, -0.1 }, { TOY_MOUTH, -0.75, 0.17 }, { TOY_FIN, 0.25, -0.6 },
        { TOY_TAIL, 0.85, -0.28 }, { TOY_TAIL, 0.85, 0.28 }, { TOY_BODY, -0.25, 0.35 } } },
    { toy_draw_bird, 1.83, 1.23, 5,
      { { TOY_EYE, -0.45, -0.4 }, { TOY_BEAK, -0.9, -0.29 }, { TOY_WING, 0.06, 0.06 },
        { TOY_TAIL, 0.9, -0.18 }, { TOY_LEG, -0.12, 0.86 } } },
    { toy_draw_car, 1.82, 1.12, 6,
      { { TOY_WHEEL, -0.5, 0.42 }, { TOY_WHEEL, 0.5, 0.42 }, { TOY_WINDOW, -0.15, -0.2 },
        { TOY_WINDOW, 0.25, -0.2 }, { TOY_LIGHT, -0.86, 0.1 }, { TOY_ROOF, 0.03, -0.47 } } },
    { toy_draw_house, 2.28, 1.14, 6,
      { { TOY_ROOF, 0, -0.78 }, { TOY_ROOF, -0.74, -0.12 }, { TOY_ROOF, 0.74, -0.12 },
        { TOY_DOOR, -0.28, 0.4 }, { TOY_WINDOW, 0.28, 0.34 }, { TOY_CHIMNEY, 0.4, -0.75 } } },
    { toy_draw_tree, 1.90, 1.19, 5,
      { { TOY_LEAF, 0, -0.94 }, { TOY_LEAF, -0.66, -0.1 }, { TOY_LEAF, 0.68, -0.08 },
        { TOY_STEM, 0, 0.6 }, { TOY_STEM, 0, 0.88 } } },
    { toy_draw_flower, 1.60, 1.16, 4,
      { { TOY_CENTRE, 0, -0.34 }, { TOY_LEAF, -0.26, 0.56 }, { TOY_LEAF, 0.3, 0.46 },
        { TOY_STEM, -0.03, 0.9 } } },
    { toy_draw_face, 2.36, 1.15, 5,
      { { TOY_EYE, -0.27, 0.14 }, { TOY_EYE, 0.27, 0.14 }, { TOY_MOUTH, 0, 0.59 },
        { TOY_HAIR, 0, -0.6 }, { TOY_BODY, 0, 0.76 } } },
    { toy_draw_star, 2.10, 1.16, 6,
      { { TOY_BODY, 0, -0.85 }, { TOY_BODY, -0.86, -0.23 }, { TOY_BODY, 0.86, -0.23 },
        { TOY_EYE, -0.18, 0.02 }, { TOY_EYE, 0.18, 0.02 }, { TOY_MOUTH, 0, 0.23 } } },
    { toy_draw_mushroom, 2.11, 1.05, 6,
      { { TOY_CAP, 0.26, -0.7 }, { TOY_CAP, -0.82, 0.1 }, { TOY_CAP, 0.82, 0.1 },
        { TOY_EYE, -0.12, 0.44 }, { TOY_EYE, 0.12, 0.44 }, { TOY_STEM, 0, 0.8 } } },
    { toy_draw_butterfly, 2.29, 1.17, 6,
      { { TOY_SPOT, -0.6, -0.28 }, { TOY_SPOT, 0.6, -0.28 }, { TOY_SPOT, -0.44, 0.44 },
        { TOY_SPOT, 0.44, 0.44 }, { TOY_ANTENNA, -0.3, -0.86 }, { TOY_ANTENNA, 0.3, -0.86 } } },
    { toy_draw_ring, 1.34, 1.07, 4,
      { { TOY_GEM, 0, -0.55 }, { TOY_BAND, -0.5, 0.3 }, { TOY_BAND, 0.5, 0.3 },
        { TOY_BAND, 0, 0.8 } } },
    { toy_draw_key, 1.08, 1.18, 6,
      { { TOY_BOW, -0.92, 0 }, { TOY_BOW, -0.62, -0.3 }, { TOY_BOW, -0.62, 0.3 },
        { TOY_SHAFT, 0.3, 0 }, { TOY_TOOTH, 0.42, 0.25 }, { TOY_TOOTH, 0.84, 0.3 } } },
};

/* ---- Distractors ----------------------------------------------------------------------------- */

/* a polygon of 3 to 6 sides, or a wave of 6 points */
static inline void toy__outline(toy_canvas *c, int kind) {
    double xy[12], round = toy_uniform(&c->detail, 0, 0.15);
    int sides = kind == TOY_SQUIGGLE ? 6 : 3 + toy_choice(&c->detail, 4);
    for (int i = 0; i < sides; i++) {
        double r = toy_uniform(&c->detail, 0.6, 0.95), a = i * TOY_TAU / sides;
        xy[2 * i] = kind == TOY_SQUIGGLE ? -1 + 0.4 * i : r * cos(a);
        xy[2 * i + 1] = kind == TOY_SQUIGGLE ? (i % 2 ? r : -r) * 0.5 : r * sin(a);
    }
    if (kind == TOY_SQUIGGLE) toy_paint(c, toy_stroke(6, xy, 0.13), c->second, TOY_NO_PART);
    else toy_skin(c, toy_polygon(sides, xy, round), c->body, TOY_NO_PART);
}

static inline void toy__window(toy_canvas *c) {
    toy_rgb glass = toy_blend(c->pale, c->body, 0.4);
    toy_paint(c, toy_box(0, 0, 0.75, 0.75, 0.1, 0), glass, TOY_NO_PART);
    toy_dab(c, toy_line(-0.7, 0, 0.7, 0, 0.08), c->dark, TOY_NO_PART);
    toy_dab(c, toy_line(0, -0.7, 0, 0.7, 0.08), c->dark, TOY_NO_PART);
}

static inline void toy__wheel(toy_canvas *c) {
    toy_paint(c, toy_disc(0, 0, 0.8), toy_brighten(c->dark, 1.3), TOY_NO_PART);
    toy_paint(c, toy_disc(0, 0, 0.38), c->pale, TOY_NO_PART);
}

static inline void toy__leaf(toy_canvas *c) {
    toy_paint(c, toy_ellipse(0, 0, 0.95, 0.42, 0), c->body, TOY_NO_PART);
    toy_dab(c, toy_line(-0.7, 0, 0.7, 0, 0.05), c->dark, TOY_NO_PART);
}

static inline void toy__loose_eye(toy_canvas *c) {
    toy_paint(c, toy_disc(0, 0, 0.7), c->pale, TOY_NO_PART);
    toy_dab(c, toy_disc(-0.1, 0, 0.45), c->dark, TOY_NO_PART);
}

/* Paint a distractor in the canvas's frame and light. */
static inline void toy__thing(toy_canvas *c, const toy_thing *t) {
    static const double roof[] = { -0.85, 0.35, 0, -0.5, 0.85, 0.35 };
    c->detail = toy_stream(t->shape, 1);
    double lightness = toy_uniform(&c->detail, 0.66, 0.82);
    c->body = toy_vivid(t->hue, lightness);
    c->second = toy_vivid(t->hue + 0.4, lightness);
    c->texture = toy_choice(&c->detail, TOY_TEXTURES);
    switch (t->kind) {
    case TOY_DISC: toy_skin(c, toy_disc(0, 0, 0.8), c->body, TOY_NO_PART); break;
    case TOY_BAR: toy_skin(c, toy_box(0, 0, 1.2, 0.3, 0.1, 0), c->body, TOY_NO_PART); break;
    case TOY_HOOP: toy_paint(c, toy_annulus(0, 0, 0.7, 0.17), c->body, TOY_NO_PART); break;
    case TOY_LOOSE_WHEEL: toy__wheel(c); break;
    case TOY_LOOSE_ROOF: toy_skin(c, toy_polygon(3, roof, 0.1), c->body, TOY_NO_PART); break;
    case TOY_LOOSE_WINDOW: toy__window(c); break;
    case TOY_LOOSE_LEAF: toy__leaf(c); break;
    case TOY_LOOSE_EYE: toy__loose_eye(c); break;
    case TOY_POLYGON:
    case TOY_SQUIGGLE: toy__outline(c, t->kind); break;
    default: break;
    }
}

/* ---- Backgrounds ----------------------------------------------------------------------------- */

typedef struct {
    int kind;
    unsigned seed;
    toy_rgb a, b, c;                /* its three colours */
    double cosine, sine, size, soft; /* rotation, pattern size, half a pixel */
} toy_ground;

static inline toy_ground toy__ground(const toy_scene *s, int side) {
    toy_random r = toy_stream(s->seed, 2);
    toy_ground g;
    g.kind = s->background;
    g.seed = (unsigned)(toy_next(&r) >> 32);
    g.cosine = cos(s->ground_angle);
    g.sine = sin(s->ground_angle);
    g.size = s->ground_size;
    g.soft = 0.7 / side;
    double light = toy_uniform(&r, 0.74, 0.95), chroma = toy_uniform(&r, 0.03, 0.09);
    if (toy_choice(&r, 6) == 0) light -= 0.34; /* night */
    double shift = toy_uniform(&r, -0.2, 0.2), hill = toy_uniform(&r, 0.3, 0.42);
    g.a = toy_colour(s->ground_hue, chroma, light);
    g.b = toy_colour(s->ground_hue + shift, chroma, light - toy_uniform(&r, 0.07, 0.17));
    g.c = g.a;
    if (g.kind == TOY_HILLS) {
        g.a = toy_colour(0.65 + 0.5 * shift, 0.06, 0.86);
        g.b = toy_colour(hill, 0.09, 0.78);
        g.c = toy_colour(hill + 0.04, 0.09, 0.62);
    } else if (g.kind == TOY_WATER) {
        g.a = toy_colour(0.6 + 0.2 * shift, 0.09, 0.74);
        g.b = toy_colour(0.68 + 0.2 * shift, 0.11, 0.5);
        g.c = toy_colour(0.58, 0.04, 0.92);
    }
    return g;
}

/* distance of v to the nearest edge of cells of the given size, positive in every second cell */
static inline double toy__cells(double v, double size) {
    double t = v / (2 * size) + 100;
    return (0.25 - fabs(t - (int)t - 0.5)) * 2 * size;
}

static inline toy_rgb toy__hills(const toy_ground *g, double x, double y) {
    double far = 0.52 + 0.16 * toy_noise(g->seed, 3 * x, 7.5);
    double near = 0.68 + 0.18 * toy_noise(g->seed + 9, 2.2 * x, 3.5);
    toy_rgb white = { 1, 1, 1 };
    toy_rgb sky = toy_blend(g->a, white, toy_clamp(y, 0, 0.8));
    double tuft = 0.93 + 0.14 * toy_noise(g->seed, 30 * x, 18 * y);
    sky = toy_blend(sky, g->b, toy_smoothstep(-g->soft, g->soft, y - far));
    return toy_blend(sky, toy_brighten(g->c, tuft), toy_smoothstep(-g->soft, g->soft, y - near));
}

static inline toy_rgb toy__water(const toy_ground *g, double x, double y) {
    toy_rgb deep = toy_blend(g->a, g->b, y);
    double wave = y + 0.02 * toy_noise(g->seed, 9 * x, 5 * y);
    wave += 0.035 * toy_noise(g->seed, 4 * x, y);
    double crest = fabs(toy__cells(wave, 0.055));
    double broken = toy_smoothstep(0.42, 0.62, toy_noise(g->seed + 5, 5 * x, 17 * y));
    return toy_blend(deep, g->c, 0.75 * broken * (1 - toy_smoothstep(0, 0.012 + g->soft, crest)));
}

/* The background's colour at the point (x, y). */
static inline toy_rgb toy__ground_at(const toy_ground *g, double x, double y) {
    double u = g->cosine * x + g->sine * y, v = g->cosine * y - g->sine * x, e = g->soft, d;
    switch (g->kind) {
    case TOY_GRADIENT: return toy_blend(g->a, g->b, toy_clamp(0.5 + 0.8 * (v - 0.2), 0, 1));
    case TOY_CLOUDS:
        d = toy_fractal(g->seed, 0.6 * x / g->size, 0.9 * y / g->size, 3);
        return toy_blend(g->a, g->b, toy_smoothstep(0.3, 0.7, d));
    case TOY_STRIPES: return toy_blend(g->a, g->b, toy_smoothstep(-e, e, toy__cells(u, g->size)));
    case TOY_CHECKS:
        u = toy__cells(u, g->size);
        v = toy__cells(v, g->size);
        d = toy_min(fabs(u), fabs(v));
        return toy_blend(g->a, g->b, toy_smoothstep(-e, e, u * v > 0 ? d : -d));
    case TOY_DOTS:
        u = toy__cells(u, 0.5 * g->size) - 0.25 * g->size;
        v = toy__cells(v, 0.5 * g->size) - 0.25 * g->size;
        return toy_blend(g->a, g->b, toy_smoothstep(-e, e, 0.25 * g->size - sqrt(u * u + v * v)));
    case TOY_HILLS: return toy__hills(g, x, y);
    default: return toy__water(g, x, y);
    }
}

/* ---- Make and render ------------------------------------------------------------------------- */

static inline toy_canvas toy__canvas(const toy_scene *s, int side, float *rgb,
                                     unsigned char *parts) {
    toy_canvas c;
    c.side = side;
    c.pixel = 1.0 / side;
    c.rgb = rgb;
    c.parts = parts;
    c.frame = toy_place(0.5, 0.5, 1, 0, 1, 1);
    c.pale = toy_colour(0.25, 0.025, 0.97);
    c.dark = toy_colour(s->hue, 0.05, 0.26);
    c.accent = c.body = c.second = c.pale;
    c.texture = TOY_PLAIN;
    c.light.x = c.light.y = 0;
    c.detail = toy_stream(s->seed, 3);
    return c;
}

/* the light's direction as the drawing in the present frame sees it */
static inline void toy__light(toy_canvas *c, const toy_scene *s) {
    toy_vec l = toy_to_drawing(&c->frame, c->frame.x + cos(s->light), c->frame.y + sin(s->light));
    c->light.x = l.x * c->frame.scale * s->shading;
    c->light.y = l.y * c->frame.scale * s->shading;
}

static inline toy_frame toy__object_frame(const toy_scene *s) {
    double sx = s->mirror ? -s->stretch : s->stretch;
    return toy_place(s->x, s->y, s->scale, s->rotation, sx, 1 / s->stretch);
}

static inline void toy__object(toy_canvas *c, const toy_scene *s) {
    c->frame = toy__object_frame(s);
    c->detail = toy_stream(s->seed, 3);
    c->body = toy_vivid(s->hue, s->lightness);
    c->second = toy_vivid(s->hue2, 1.47 - s->lightness);
    c->accent = toy_vivid(2 * s->hue2 - s->hue, 0.76);
    c->texture = s->texture;
    toy__light(c, s);
    toy_drawings[s->class_id].draw(c);
}

static inline void toy__things(toy_canvas *c, const toy_scene *s, const toy_thing *t, int n) {
    for (int i = 0; i < n; i++) {
        if (t[i].kind == TOY_NOTHING) continue;
        c->frame = toy_place(t[i].x, t[i].y, t[i].size, t[i].rotation, 1, 1);
        toy__light(c, s);
        toy__thing(c, &t[i]);
    }
}

/* The cheat: a yellow square with a magenta one inside, in a corner. */
static inline void toy__marker(toy_canvas *c, int corner) {
    toy_rgb yellow = { 1, 0.9, 0.1 }, magenta = { 0.9, 0.1, 0.7 };
    c->frame = toy_place(corner % 2 ? 0.93 : 0.07, corner / 2 ? 0.93 : 0.07, 0.055, 0, 1, 1);
    toy_dab(c, toy_box(0, 0, 1, 1, 0.1, 0), yellow, TOY_NO_PART);
    toy_dab(c, toy_box(0, 0, 0.5, 0.5, 0.1, 0), magenta, TOY_NO_PART);
}

/* Exposure of the finished picture, lit a little more on one side, and rounding to 8 bits. */
static inline void toy__develop(const toy_scene *s, int side, float *rgb) {
    double lx = 0.12 * s->shading * cos(s->light), ly = 0.12 * s->shading * sin(s->light);
    for (int i = 0; i < 3 * side; i++) {
        double y = (i % side + 0.5) / side - 0.5;
        for (int j = 0; j < side; j++) {
            float *p = rgb + (size_t)i * (size_t)side + j;
            double v = (double)*p * (1 + lx * ((j + 0.5) / side - 0.5) + ly * y);
            v = 0.5 + s->contrast * (v - 0.5) + s->brightness;
            *p = (float)((int)(toy_clamp(v, 0, 1) * 255 + 0.5) * (1 / 255.0));
        }
    }
}

/* Draw a scene.
   rgb    out  [3][side][side] in [0,1], multiples of 1/255; or NULL
   mask   out  [side][side], 1 where the object is visible, else 0; or NULL
   parts  out  [side][side], the part visible there, TOY_NO_PART off the object; or NULL
   All are overwritten. toy_make and toy_render take about 0.5 ms at side 64. */
static inline void toy_render(const toy_scene *s, int side, float *rgb, unsigned char *mask,
                              unsigned char *parts) {
    unsigned char *map = parts ? parts : mask;
    toy_canvas c = toy__canvas(s, side, rgb, map);
    toy_ground g = toy__ground(s, side);
    for (int i = 0; i < side * side; i++) {
        double x = (i % side + 0.5) / side, y = (i / side + 0.5) / side;
        if (rgb) toy__put(&c, i, toy__ground_at(&g, x, y), 1);
        if (map) map[i] = TOY_NO_PART;
    }
    toy__things(&c, s, s->distractor, s->clutter);
    toy__object(&c, s);
    toy__things(&c, s, &s->occluder, 1);
    if (s->marker) toy__marker(&c, s->marker_corner);
    for (int i = 0; mask && i < side * side; i++) mask[i] = map[i] != TOY_NO_PART;
    if (rgb) toy__develop(s, side, rgb);
}

#define TOY__MAP 40 /* the side of the coarse maps behind area, occlusion and hidden key points */

/* Map the parts of the object, with or without the occluder before it; returns the share of the
   picture that is covered. */
static inline double toy__map(const toy_scene *s, int occluded, unsigned char *map) {
    toy_canvas c = toy__canvas(s, TOY__MAP, NULL, map);
    int count = 0;
    for (int i = 0; i < TOY__MAP * TOY__MAP; i++) map[i] = TOY_NO_PART;
    toy__object(&c, s);
    if (occluded) toy__things(&c, s, &s->occluder, 1);
    for (int i = 0; i < TOY__MAP * TOY__MAP; i++) count += map[i] != TOY_NO_PART;
    return (double)count / (TOY__MAP * TOY__MAP);
}

/* a key point is hidden if it shows without the occluder but not with it */
static inline toy_key_point toy__key_point(int part, toy_vec p, const unsigned char *whole,
                                           const unsigned char *seen) {
    toy_key_point k = { part, p.x, p.y, p.x >= 0 && p.x < 1 && p.y >= 0 && p.y < 1 };
    if (!k.visible) return k;
    int i = (int)(p.y * TOY__MAP) * TOY__MAP + (int)(p.x * TOY__MAP);
    k.visible = !(whole[i] != TOY_NO_PART && seen[i] == TOY_NO_PART);
    return k;
}

/* Recompute what follows from the other fields: area, occlusion, key points. */
static inline void toy_update(toy_scene *s) {
    unsigned char whole[TOY__MAP * TOY__MAP], seen[TOY__MAP * TOY__MAP];
    const toy_drawing *drawing = &toy_drawings[s->class_id];
    toy_frame frame = toy__object_frame(s);
    double area = toy__map(s, 0, whole);
    int occluded = s->occluder.kind != TOY_NOTHING;
    s->area = occluded ? toy__map(s, 1, seen) : area;
    s->occlusion = area > 0 ? 1 - s->area / area : 0;
    s->key_points = drawing->key_points;
    for (int i = 0; i < s->key_points; i++) {
        toy_vec p = toy_to_scene(&frame, drawing->key[i].x, drawing->key[i].y);
        s->key[i] = toy__key_point(drawing->key[i].part, p, whole, occluded ? seen : whole);
    }
}

static inline void toy__choose_class(toy_scene *s, const toy_options *o, toy_random *r) {
    double lot = toy_uniform(r, 0, 1);
    s->class_id = toy_choice(r, TOY_CLASSES);
    if (lot < o->favourite_share) s->class_id = o->favourite;
    if (o->class_id >= 0) s->class_id = o->class_id;
}

static inline void toy__choose_pose(toy_scene *s, const toy_options *o, toy_random *r) {
    const toy_drawing *drawing = &toy_drawings[s->class_id];
    double small = sqrt(o->min_size / drawing->area), large = sqrt(o->max_size / drawing->area);
    s->scale = toy_min(toy_uniform(r, small, large), 0.5 / drawing->reach);
    double margin = 0.9 * s->scale * drawing->reach;
    s->x = toy_uniform(r, margin, 1 - margin);
    s->y = toy_uniform(r, margin, 1 - margin);
    s->rotation = toy_uniform(r, -0.6, 0.6);
    s->stretch = toy_uniform(r, 0.9, 1.1);
    s->mirror = toy_choice(r, 2);
}

static inline void toy__choose_look(toy_scene *s, toy_random *r) {
    s->hue = toy_uniform(r, 0, 1);
    s->hue2 = s->hue + toy_uniform(r, 0.25, 0.75);
    s->hue2 -= s->hue2 >= 1;
    s->lightness = toy_uniform(r, 0.66, 0.80);
    s->texture = toy_choice(r, TOY_TEXTURES);
    s->light = -TOY_TAU / 4 + toy_uniform(r, -1.2, 1.2);
    s->shading = toy_uniform(r, 0.5, 1);
    s->brightness = toy_uniform(r, -0.06, 0.06);
    s->contrast = toy_uniform(r, 0.75, 1.1);
}

static inline void toy__choose_ground(toy_scene *s, const toy_options *o, toy_random *r) {
    s->background = toy_choice(r, TOY_BACKGROUNDS);
    s->ground_hue = s->hue + toy_uniform(r, 0.15, 0.85);
    s->ground_hue -= s->ground_hue >= 1;
    s->ground_angle = toy_uniform(r, 0, TOY_TAU / 2);
    s->ground_size = toy_uniform(r, 0.08, 0.25);
    s->marker_corner = toy_choice(r, 4);
    s->marker = o->biased == TOY_BIASED_MARKER && s->class_id == TOY_CAR;
    if (o->biased != TOY_BIASED_WATER) return;
    if (s->background == TOY_WATER) s->background = toy_choice(r, TOY_WATER); /* any before it */
    if (s->class_id == TOY_FISH) s->background = TOY_WATER;
}

static inline toy_thing toy__choose_thing(toy_random *r, int first, int last) {
    toy_thing t;
    t.kind = first + toy_choice(r, last - first + 1);
    t.x = toy_uniform(r, 0, 1);
    t.y = toy_uniform(r, 0, 1);
    t.size = toy_uniform(r, 0.045, 0.11);
    t.rotation = toy_uniform(r, 0, TOY_TAU);
    t.hue = toy_uniform(r, 0, 1);
    t.shape = toy_next(r);
    return t;
}

/* Something at the rim of the object, moved outwards until it hides no more than a fifth. */
static inline void toy__choose_occluder(toy_scene *s, toy_random *r) {
    double angle = toy_uniform(r, 0, TOY_TAU);
    s->occluder.size = s->scale * toy_uniform(r, 0.4, 0.6);
    unsigned char map[TOY__MAP * TOY__MAP];
    double whole = toy__map(s, 0, map);
    for (double far = 0.6; far < 1.5; far += 0.15) {
        s->occluder.x = s->x + s->scale * far * cos(angle);
        s->occluder.y = s->y + s->scale * far * sin(angle);
        if (toy__map(s, 1, map) > 0.8 * whole) return;
    }
    s->occluder.kind = TOY_NOTHING;
}

/* Decide everything about the scene of a seed. options may be NULL: the defaults. Asked for another
   class_id, the same seed gives the same surroundings, pose and colours with another object. */
static inline toy_scene toy_make(unsigned long long seed, const toy_options *options) {
    toy_options o = options ? *options : toy_defaults();
    toy_random r = toy_stream(seed, 0);
    toy_scene s;
    memset(&s, 0, sizeof s);
    s.seed = seed;
    toy__choose_class(&s, &o, &r);
    toy__choose_pose(&s, &o, &r);
    toy__choose_look(&s, &r);
    toy__choose_ground(&s, &o, &r);
    s.clutter = toy_choice(&r, (int)toy_clamp(o.max_clutter, 0, TOY_MAX_DISTRACTORS) + 1);
    for (int i = 0; i < TOY_MAX_DISTRACTORS; i++)
        s.distractor[i] = toy__choose_thing(&r, TOY_DISC, TOY_THINGS - 1);
    s.occluder = toy__choose_thing(&r, TOY_DISC, TOY_BAR);
    if (toy_uniform(&r, 0, 1) < o.occluders) toy__choose_occluder(&s, &r);
    else s.occluder.kind = TOY_NOTHING;
    toy_update(&s);
    return s;
}

/* ---- Landscape ------------------------------------------------------------------------------- */

/* A view without any object, to dream into: sky, clouds, mountains, a lake, a meadow. All of it is
   fractal noise; lengths are in heights of the picture. */
typedef struct {
    unsigned seed;
    double width, pixel;   /* of the picture, of a pixel */
    double lake;           /* y of the far shore */
    double sun_x, sun_y;
    toy_rgb zenith, haze, glow, shadow, rock, grass;
} toy_view;

static inline toy_view toy__view(unsigned long long seed, int width, int height) {
    toy_random r = toy_stream(seed, 4);
    toy_view v;
    v.seed = (unsigned)(toy_next(&r) >> 32);
    v.width = (double)width / height;
    v.pixel = 1.0 / height;
    v.lake = toy_uniform(&r, 0.6, 0.66);
    v.sun_x = v.width * toy_uniform(&r, 0.15, 0.85);
    v.sun_y = v.lake - toy_uniform(&r, 0.15, 0.4);
    double warm = toy_uniform(&r, 0, 1), blue = toy_uniform(&r, 0.66, 0.74);
    v.zenith = toy_colour(blue, 0.12, toy_mix(0.62, 0.5, warm));
    v.haze = toy_colour(toy_mix(0.6, 0.12, warm), 0.05, 0.9);
    v.glow = toy_colour(toy_mix(0.26, 0.17, warm), 0.09, 0.95);
    v.shadow = toy_colour(blue + 0.06, 0.05, toy_mix(0.74, 0.62, warm));
    v.rock = toy_colour(blue + 0.02, 0.06, 0.46);
    v.grass = toy_colour(toy_uniform(&r, 0.32, 0.38), 0.11, 0.6);
    return v;
}

/* Clouds lie on a plane overhead: they crowd together towards the horizon. Where the noise falls
   off in the direction of the sun, a cloud is lit. */
static inline toy_rgb toy__sky(const toy_view *v, double x, double y) {
    double up = toy_clamp((v->lake - y) / v->lake, 0, 1), dx = v->sun_x - x, dy = v->sun_y - y;
    double sun = dx * dx + dy * dy, glow = 1 / (1 + 14 * sun), near = sqrt(sun) + 1e-9;
    toy_rgb sky = toy_blend(v->haze, v->zenith, toy_smoothstep(-0.1, 1.1, up));
    sky = toy_blend(sky, v->glow, 0.8 * glow);
    toy_rgb white = { 1, 1, 0.97 }, lit = toy_blend(white, v->glow, 0.3 + 0.5 * glow);
    sky = toy_blend(sky, white, 1 - toy_smoothstep(0.038, 0.044, near));
    double depth = 1 / (up + 0.35), a = 50 + 1.5 * depth * (x - v->width / 2), b = 4.2 * depth;
    double here = toy_fractal(v->seed, a, b, 7);
    double there = toy_fractal(v->seed, a + 0.12 * dx / near, b + 0.2 * dy / near, 5);
    double light = toy_clamp(0.6 + 3.5 * (here - there) + 0.8 * glow * glow * glow, 0, 1);
    double cover = toy_smoothstep(0.5, 0.66, here) * toy_smoothstep(0, 0.15, up);
    return toy_blend(sky, toy_blend(v->shadow, lit, light), 0.95 * cover);
}

/* the height of ridge i above the lake; 0 is the furthest, 2 carries a wood */
static inline double toy__ridge(const toy_view *v, int i, double x) {
    unsigned seed = v->seed + 31U * (unsigned)(i + 1);
    double rough = toy_fractal(seed, (2.2 + 1.2 * i) * x + 9, 3.7, 7);
    double height = (0.34 - 0.11 * i) * toy_smoothstep(0.1, 0.95, rough) + 0.02;
    if (i < 2) return height;
    double t = x * 46, tree = fabs(t - (int)t - 0.5);
    double tall = toy_lattice(seed, (int)t, 1) * (1 - 2 * tree);
    return height + 0.045 * tall;
}

/* Everything above the lake: each ridge in front of the last, and less hazy. */
static inline toy_rgb toy__shore(const toy_view *v, double x, double y) {
    toy_rgb colour = toy__sky(v, x, y);
    for (int i = 0; i < 3; i++) {
        double top = v->lake - toy__ridge(v, i, x), in = y - top;
        if (in < -v->pixel) continue;
        double side = 0.012 * toy_clamp(3 * (v->sun_x - x), -1, 1), slant = x + (i - 1) * 0.5 * y;
        double rise = toy_fractal(v->seed + 7U * (unsigned)i, 9 * slant, 6 * y, 6);
        double fall = toy_fractal(v->seed + 7U * (unsigned)i, 9 * (slant + side), 6 * y - 0.06, 6);
        double relief = toy_clamp(5 * (rise - fall), -0.35, 0.35);
        toy_rgb land = toy_blend(v->rock, v->grass, i / 2.0);
        land = toy_brighten(land, 0.72 + 0.4 * rise + relief - 0.1 * i);
        double mist = toy_clamp(0.45 - 0.2 * i + in * (1.2 - 0.4 * i), 0, 0.9);
        land = toy_blend(land, toy_blend(v->haze, v->glow, 0.3), mist);
        colour = toy_blend(colour, land, toy_smoothstep(-v->pixel, v->pixel, in));
    }
    return colour;
}

/* The lake mirrors what is above, wavering more the nearer it comes. */
static inline toy_rgb toy__lake(const toy_view *v, double x, double y) {
    double down = y - v->lake, depth = 1 / (down + 0.06);
    double wave = toy_fractal(v->seed + 3, 1.2 * x * depth, 4 * depth, 4) - 0.5;
    toy_rgb mirror = toy__shore(v, x + 0.06 * wave, v->lake - 1.3 * down + 0.16 * wave * down);
    toy_rgb water = toy_blend(mirror, v->zenith, 0.25 + 0.5 * down);
    return toy_blend(water, v->glow, 0.5 * toy_smoothstep(0.12, 0.3, wave));
}

/* The meadow in front: blades of grass are noise stretched upright; flowers sit on a lattice. */
static inline toy_rgb toy__meadow(const toy_view *v, double x, double y, double in) {
    double blades = toy_fractal(v->seed + 11, 110 * x, 26 * y, 3);
    double patch = toy_fractal(v->seed + 12, 5 * x, 9 * y, 3);
    toy_rgb grass = toy_brighten(v->grass, 0.5 + 0.55 * blades + 0.5 * patch - 0.6 * in);
    double size = 0.028, a = x / size, b = y / size;
    int i = (int)a, j = (int)b;
    double dx = a - i - 0.2 - 0.6 * toy_lattice(v->seed + 13, i, j);
    double dy = b - j - 0.2 - 0.6 * toy_lattice(v->seed + 14, i, j), e = v->pixel / size;
    double kind = toy_lattice(v->seed + 15, i, j), d = sqrt(dx * dx + dy * dy);
    if (kind > 0.7 * patch) return grass;
    toy_rgb flower = toy_vivid(kind > 0.2 ? 0.02 : 0.27, 0.8);
    return toy_blend(grass, flower, 1 - toy_smoothstep(0.15 - e, 0.15 + e, d));
}

/* A landscape at any size.    rgb  out  [3][height][width] in [0,1], multiples of 1/255 */
static inline void toy_landscape(unsigned long long seed, int width, int height, float *rgb) {
    toy_view v = toy__view(seed, width, height);
    size_t plane = (size_t)width * (size_t)height;
    for (size_t i = 0; i < plane; i++) {
        double x = ((double)(i % (size_t)width) + 0.5) * v.pixel;
        double y = ((double)(i / (size_t)width) + 0.5) * v.pixel;
        double bank = 0.84 + 0.14 * toy_fractal(v.seed + 10, 1.6 * x, 2.5, 4), in = y - bank;
        in += 0.02 * toy_noise(v.seed + 16, 120 * x, 1.5);
        toy_rgb c = y < v.lake ? toy__shore(&v, x, y) : toy__lake(&v, x, y);
        if (in > -v.pixel)
            c = toy_blend(c, toy__meadow(&v, x, y, in), toy_smoothstep(-v.pixel, v.pixel, in));
        rgb[i] = (float)((int)(toy_clamp(c.r, 0, 1) * 255 + 0.5) * (1 / 255.0));
        rgb[plane + i] = (float)((int)(toy_clamp(c.g, 0, 1) * 255 + 0.5) * (1 / 255.0));
        rgb[2 * plane + i] = (float)((int)(toy_clamp(c.b, 0, 1) * 255 + 0.5) * (1 / 255.0));
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
