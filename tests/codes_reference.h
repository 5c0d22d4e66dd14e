/* Made by codes_reference.py with scikit-learn 1.2.1 and umap-learn 0.5.3, from the codes of the
   first 2000 held-out scenes at relu5 of examples/data/toynet.safetensors. */
/* PCA: variance along the first 12 components */
static const double reference_variance[12] = {
    141.269538, 73.2381593, 63.8848646, 53.2739223, 48.3234649, 39.6008551, 36.6217035,
    29.2401227, 24.3343336, 17.8381002, 13.9535028, 12.5309916};
/* trustworthiness(5) of the codes along .05 cos k and .05 sin k */
static const double reference_plane_trust[1] = {
    0.635971185};
/* t-SNE's C of the same layout, and the length of its slope */
static const double reference_plane_tsne[2] = {
    3.56882434, 0.0187918657};
/* C of exact t-SNE, three seeds */
static const double reference_tsne_c[3] = {
    0.877525216, 0.881909993, 0.881091523};
/* trustworthiness(5) of the same runs */
static const double reference_tsne_trust[3] = {
    0.993517018, 0.993028665, 0.993993574};
/* UMAP's graph: edges (both ways), the sum of their weights, the sum of the squares */
static const double reference_umap_graph[3] = {
    39650, 12896.9092, 7406.00871};
/* trustworthiness(5) of UMAP, three seeds */
static const double reference_umap_trust[3] = {
    0.982386446, 0.982587651, 0.980313855};
