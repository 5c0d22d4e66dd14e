#!/bin/sh
# Runs every example on every network of examples/models.h, or on those that are named, with random
# weights and small pictures, and prints a table:
#
#     make matrix        NETS="resnet18 vgg16" make matrix
#     PROGRAMS="saliency gradcam" sh tests/networks.sh resnet18
#     KEEP=build/matrix make matrix      # to look at: NETWORK_PROGRAM.png, and what was printed
#
# ok: it drew its picture; no: it said in one sentence why it cannot, which is printed below. A
# crash, silence or more than ten minutes is a failure. The last line is "N passed, N failed".
root=$(pwd)
keep=${KEEP:+$(mkdir -p "$KEEP" && cd "$KEEP" && pwd)}
picture=picture.ppm                    # PNG takes longer
if [ -n "$keep" ]; then picture=picture.png; fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
ln -s "$root/examples" "$folder/examples"
eval "$(sed -n '/^quick() {/,/^}/p' tests/programs.sh)" # options with which a program is quick
cd "$folder" || exit 1
passed=0 failed=0

cat >draw.c <<'END'
#define CNNVIS_IMPLEMENTATION
#include "cnnvis.h"
#include "examples/models.h"
int main(int count, char **arguments)
{
    const model *m = count > 1 ? model_find(arguments[1]) : NULL;
    cnv_net *net = cnv_net_new();
    int i;
    for (i = 0; count == 1 && i < MODEL_COUNT; i++)
        if (models[i].side > 64) puts(models[i].name); /* not toynet and smallnet */
    if (count == 1) return 0;
    return !m || m->build(net, m->classes) < 0 || !cnv_init(net, 2) ||
           !cnv_save(net, "weights.safetensors", NULL);
}
END
${CC:-cc} -O2 -I"$root" draw.c -o draw -lm || exit 1

# A small picture that the network can still read.
side() {
    case $1 in
    vgg* | resnet*) echo 48 ;;
    cats_vs_dogs) echo 180 ;;
    inception*) echo 144 ;; # maps of 3 x 3 at the end
    xception*) echo 80 ;;
    *) echo 64 ;;
    esac
}

# $1: the network, $2: the program
try() {
    "$root/build/$2" --help >help
    # shellcheck disable=SC2046
    timeout 600 "$root/build/$2" $(quick "$2") --net "$1" --weights weights.safetensors \
        --side "$(side "$1")" --out $picture >out 2>err </dev/null
    status=$?
    if [ $status = 0 ] && [ -s $picture ]; then word=ok
    elif [ $status = 1 ] && [ "$(wc -l <err)" = 1 ]; then
        word=no
        echo "$1: $(cat err)" >>refusals
    else
        word=FAILED
        echo "$1, $2: status $status: $(head -n 3 err)" >>refusals
    fi
    if [ $word = FAILED ]; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
    if [ -n "$keep" ] && [ $word = ok ]; then
        cp $picture "$keep/$1_$2.png" && cp out "$keep/$1_$2.txt"
    fi
    rm -f $picture
    printf ' %s:%s' "$2" $word
}

for network in ${*:-$(./draw)}; do
    ./draw "$network" || exit 1
    printf '%s:' "$network"
    for program in ${PROGRAMS:-$(cd examples && ls -- *.c)}; do
        program=${program%.c}
        case $program in
        gallery | toybox | train | custom) ;; # they have networks of their own, or none
        *) try "$network" "$program" ;;
        esac
    done
    echo
done
if [ -f refusals ]; then echo && cat refusals; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
