// Additive attention, softmax(v . tanh(q + k)) values, forward and backward, in memory linear in T and S.
//
// h = tanh(q + k) = n / (n + 2) with n = e^(2q) e^(2k) - 1, so (T + S) K exponentials serve T S K products and reciprocals.
// Near 0 the difference n would lose its digits, so each exponential is the sum of two floats: n is as exact as tanh then.
// With g the gradient of a score: dq = dk = v g (1 - h^2), dv = g h. A lane is a key: keys are transposed, so that the sum
// over K stays inside a lane. A task is a range of queries of one head, ROWS of them at a time. The backward pass makes
// scores and weights again from each row's largest score and its sum (Dao et al. 2022, appendix B; those keep the logarithm
// of both, which in float32 would give a whole row one common error). It then walks over the keys once more: the gradients of
// a row's scores add up to 0 because what is taken from each is the sum of these very numbers, not, as there, a product with
// the rounded context. Where h is small, dq is what is left of that sum.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "vector.h"

namespace {

constexpr int64_t ROWS = 4;  // queries at a time
constexpr int64_t VECS = 4;  // vectors of keys at a time
constexpr int64_t SUMMED = 16 * ROWS;
constexpr float LIMIT = 21;  // up to there e^(2q) e^(2k), and its reciprocal, are well inside of float32

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

extern "C" {

struct Problem {
    int64_t batch, heads, queries, keys, width, value_width;
    int64_t mask_batch, mask_head, mask_query, mask_key;  // strides in bytes
    const float *q, *k, *v, *values;                      // contiguous: BHTK, BHSK, HK, BHSV
    const uint8_t* mask;                                  // null: everything is allowed
    int64_t causal, threads, chunks;                      // chunks: tasks that share a head
    float dropout;
    uint32_t seed;
};
}

namespace {

struct Exponential {
    vec high, low;
};

// h = tanh(q + k) of one query number and the keys of one vector, and its slope 1 - h^2.
struct Tanh {
    vec h, slope;
};

// The slope is 4 e^2x / (e^2x + 1)^2: a difference from 1 would lose its digits where h is near 1.
inline Tanh fast_tanh(float high, float low, Exponential k) {
    vec product = high * k.high, n = (product - 1) + (high * k.low + low * k.high);
    vec r = reciprocal(n + 2);
    return {n * r, 4 * product * (r * r)};
}

// Likewise where a number may not fit: such elements come from q + k itself, each for itself.
inline Tanh careful_tanh(float q, float high, float low, vec k, Exponential exp_k) {
    ivec fits = (k < LIMIT) & (k > -LIMIT) & (q < LIMIT && q > -LIMIT ? -1 : 0);
    vec x = q + k, bound = all(LIMIT);
    x = x > bound ? bound : x < -bound ? -bound : x;
    vec e = exponential(2 * x), r = 1 / (e + 1);
    Tanh fast = fast_tanh(high, low, exp_k);
    return {choose(fits, fast.h, (e - 1) * r), choose(fits, fast.slope, 4 * e * (r * r))};
}

// One head's keys and values, transposed and filled up to whole vectors, and the rows of queries at work.
struct Work {
    const Problem& p;
    const int64_t padded;  // keys
    std::vector<float> k, high_k, low_k, values, q, high_q, low_q, scores;
    std::vector<uint8_t> odd_k, odd;  // by i of K: whether some key, or key or query, does not fit
    const float* v = nullptr;
    int64_t head = 0, batch = 0, task_head = 0, first = 0, count = 0;
    float sum_v = 0;

    explicit Work(const Problem& problem)
        : p(problem), padded(up(problem.keys, LANES)), k(p.width * padded), high_k(k), low_k(k),
          values(p.value_width * padded), q(up(ROWS * p.width, LANES)), high_q(q), low_q(q), scores(ROWS * padded),
          odd_k(p.width), odd(p.width) {}

    void read_head(int64_t n) {
        head = n % p.heads, batch = n / p.heads, task_head = n, v = p.v + head * p.width;
        transpose(p.k + n * p.keys * p.width, p.width, k.data());
        transpose(p.values + n * p.keys * p.value_width, p.value_width, values.data());
        for (int64_t i = 0; i < p.width; i++) {
            ivec fits = ivec{} - 1;
            for (int64_t j = 0; j < padded; j += LANES) {
                vec x = load(&k[i * padded + j]);
                fits &= (x < LIMIT) & (x > -LIMIT);
                split(x, &high_k[i * padded + j], &low_k[i * padded + j]);
            }
            odd_k[i] = 0;
            for (int l = 0; l < LANES; l++) odd_k[i] |= !fits[l];
        }
    }

    static void split(vec x, float* high, float* low) {
        vec one, other, bound = all(LIMIT);
        exponential(2 * (x > bound ? bound : x < -bound ? -bound : x), one, other);
        store(high, one);
        store(low, other);
    }

    void transpose(const float* from, int64_t width, float* to) {
        for (int64_t i = 0; i < width; i++) {
            for (int64_t j = 0; j < p.keys; j++) to[i * padded + j] = from[j * width + i];
            for (int64_t j = p.keys; j < padded; j++) to[i * padded + j] = 0;
        }
    }

    void read_rows(int64_t from, int64_t to) {
        first = from, count = to - from;
        std::copy(odd_k.begin(), odd_k.end(), odd.begin());
        for (int64_t t = 0; t < ROWS; t++)
            for (int64_t i = 0; i < p.width; i++) {
                float x = t < count ? p.q[(task_head * p.queries + first + t) * p.width + i] : 0;
                q[t * p.width + i] = x;
                odd[i] |= !(x < LIMIT && x > -LIMIT);
            }
        for (int64_t i = 0; i < (int64_t)q.size(); i += LANES) split(load(&q[i]), &high_q[i], &low_q[i]);
    }

    Exponential exponential_of(int64_t i, int64_t j) const { return {load(&high_k[i * padded + j]), load(&low_k[i * padded + j])}; }

    // tanh(q + k) of number i of row t and the keys from j on.
    Tanh tanh_of(int64_t i, int64_t t, int64_t j, Exponential e) const {
        int64_t at = t * p.width + i;
        if (__builtin_expect(odd[i], 0)) return careful_tanh(q[at], high_q[at], low_q[at], load(&k[i * padded + j]), e);
        return fast_tanh(high_q[at], low_q[at], e);
    }

    // Scores the rows for N vectors of keys from j on. Not inlined, so that both passes round alike: with other scores than the
    // forward pass had, the weights of a row would not add up to 1.
    template <int N>
    __attribute__((noinline)) void score(int64_t j) {
        vec acc[ROWS][N] = {};
        for (int64_t i = 0; i < p.width; i++) {
            Exponential e[N];
            for (int u = 0; u < N; u++) e[u] = exponential_of(i, j + u * LANES);
            for (int t = 0; t < ROWS; t++)
                for (int u = 0; u < N; u++) acc[t][u] += v[i] * tanh_of(i, t, j + u * LANES, e[u]).h;
        }
        for (int t = 0; t < ROWS; t++)
            for (int u = 0; u < N; u++) store(&scores[t * padded + j + u * LANES], acc[t][u]);
    }

    // Hides what row t may not see; says whether it sees anything.
    bool hide(int64_t t, int64_t from, int64_t to) {
        float* row = &scores[t * padded];
        int64_t seen = p.keys;
        if (p.causal) seen = std::min(seen, std::max<int64_t>(0, first + t + 1 + p.keys - p.queries));
        for (int64_t j = std::max(from, seen); j < to; j++) row[j] = -INFINITY;
        if (!p.mask) return seen > 0;
        const uint8_t* m = p.mask + batch * p.mask_batch + head * p.mask_head + (first + t) * p.mask_query;
        bool any = false;
        for (int64_t j = from; j < std::min(to, seen); j++) {
            if (!m[j * p.mask_key]) row[j] = -INFINITY;
            else any = true;
        }
        return any;
    }

    // What dropout leaves of the weights of row t.
    Dropout dropout(int64_t t) const {
        return Dropout(p.dropout, p.seed, (uint32_t)(task_head * p.queries + first + t));
    }
};

// Calls block(number of vectors, first key) for all keys, VECS vectors at a time.
template <typename Block>
void by_blocks(int64_t padded, Block block) {
    for (int64_t j = 0; j < padded; j += VECS * LANES) switch (std::min(VECS, (padded - j) / LANES)) {
            case 1: block(std::integral_constant<int, 1>(), j); break;
            case 2: block(std::integral_constant<int, 2>(), j); break;
            case 3: block(std::integral_constant<int, 3>(), j); break;
            default: block(std::integral_constant<int, 4>(), j);
        }
}

void forward_rows(Work& w, float* context, float* softmax) {
    const Problem& p = w.p;
    by_blocks(w.padded, [&](auto vecs, int64_t j) { w.score<decltype(vecs)::value>(j); });
    for (int64_t t = 0; t < w.count; t++) {
        float* row = &w.scores[t * w.padded];
        bool any = w.hide(t, 0, w.padded);
        int64_t n = w.task_head * p.queries + w.first + t;
        if (!any) {
            std::fill(row, row + w.padded, 0.0f);
            softmax[2 * n] = 0, softmax[2 * n + 1] = INFINITY;
            continue;
        }
        vec most = all(-INFINITY), total = {};
        for (int64_t j = 0; j < w.padded; j += LANES) most = larger(load(row + j), most);
        float top = largest(most);
        for (int64_t j = 0; j < w.padded; j += LANES) {
            vec e = exponential(load(row + j) - top);
            store(row + j, e);
            total += e;
        }
        float whole = sum(total);
        softmax[2 * n] = top, softmax[2 * n + 1] = whole;
        Dropout mask = w.dropout(t);
        for (int64_t j = 0; j < w.padded; j += LANES) {
            vec weight = load(row + j) / whole;
            store(row + j, p.dropout > 0 ? weight * mask.at((uint32_t)j) : weight);
        }
    }
    for (int64_t c = 0; c < p.value_width; c++) {
        vec acc[ROWS] = {};
        for (int64_t j = 0; j < w.padded; j += LANES) {
            vec x = load(&w.values[c * w.padded + j]);
            for (int t = 0; t < ROWS; t++) acc[t] += load(&w.scores[t * w.padded + j]) * x;
        }
        for (int64_t t = 0; t < w.count; t++)
            context[(w.task_head * p.queries + w.first + t) * p.value_width + c] = sum(acc[t]);
    }
}

// Gradients of one head, transposed as its keys are, and those of the scores and of v that the rows at work give.
// Those of keys and values are summed up for SUMMED rows, then added to the sums of all: added one by one, the error would
// grow with their number.
struct Gradients {
    std::vector<float> keys, values, all_keys, all_values, q, scores, rows_v;
    std::vector<double> v;

    explicit Gradients(const Work& w)
        : keys(w.p.width * w.padded), values(w.p.value_width * w.padded), all_keys(keys), all_values(values),
          q(ROWS * w.p.width * LANES), scores(ROWS * w.padded), rows_v(w.p.width * LANES), v(w.p.width) {}

    void clear() {
        for (auto* part : {&keys, &values, &all_keys, &all_values}) std::fill(part->begin(), part->end(), 0.0f);
        std::fill(v.begin(), v.end(), 0.0);
    }

    void sum_up() {
        move_to(all_keys, keys);
        move_to(all_values, values);
    }

    static void move_to(std::vector<float>& all, std::vector<float>& part) {
        for (size_t i = 0; i < part.size(); i += LANES) {
            store(&all[i], load(&all[i]) + load(&part[i]));
            store(&part[i], vec{});
        }
    }

    void clear_rows() {
        for (auto* part : {&q, &rows_v}) std::fill(part->begin(), part->end(), 0.0f);
    }
};

struct Outcome {
    const float *softmax, *d_context;
    float *d_q, *d_k, *d_v, *d_values;  // d_k, d_values: one part for each chunk; d_v: for each task
};

// Makes the weights of N vectors of keys again, in the place of the scores, and the gradients of them and of the values;
// adds up the weighted gradients of each row.
template <int N>
void weigh_block(Work& w, Gradients& g, const Outcome& o, int64_t j, vec* total) {
    const Problem& p = w.p;
    w.score<N>(j);
    vec weight[ROWS][N], kept[ROWS][N], d_weight[ROWS][N] = {};
    for (int64_t t = 0; t < ROWS; t++) {
        int64_t n = w.task_head * p.queries + w.first + t;
        if (t < w.count) w.hide(t, j, j + N * LANES);
        for (int u = 0; u < N; u++) {
            vec s = load(&w.scores[t * w.padded + j + u * LANES]);
            weight[t][u] = t < w.count ? exponential(s - o.softmax[2 * n]) / o.softmax[2 * n + 1] : vec{};
            kept[t][u] = p.dropout > 0 ? w.dropout(t).at((uint32_t)(j + u * LANES)) : all(1);
        }
    }
    const float* d_context = o.d_context + (w.task_head * p.queries + w.first) * p.value_width;
    for (int64_t c = 0; c < p.value_width; c++)
        for (int u = 0; u < N; u++) {
            vec x = load(&w.values[c * w.padded + j + u * LANES]), d_value = load(&g.values[c * w.padded + j + u * LANES]);
            for (int64_t t = 0; t < ROWS; t++) {
                float d = t < w.count ? d_context[t * p.value_width + c] : 0;
                d_weight[t][u] += d * x;
                d_value += d * weight[t][u] * kept[t][u];
            }
            store(&g.values[c * w.padded + j + u * LANES], d_value);
        }
    for (int t = 0; t < ROWS; t++)
        for (int u = 0; u < N; u++) {
            vec d = d_weight[t][u] * kept[t][u];
            total[t] += weight[t][u] * d;
            store(&w.scores[t * w.padded + j + u * LANES], weight[t][u]);
            store(&g.scores[t * w.padded + j + u * LANES], d);
        }
}

// From the weights and their gradients to those of queries, keys and v.
template <int N>
void score_gradients(Work& w, Gradients& g, int64_t j, const float* delta) {
    const Problem& p = w.p;
    vec d_score[ROWS][N];
    for (int64_t t = 0; t < ROWS; t++)
        for (int u = 0; u < N; u++) {
            int64_t at = t * w.padded + j + u * LANES;
            d_score[t][u] = load(&w.scores[at]) * (load(&g.scores[at]) - delta[t]);
        }
    for (int64_t i = 0; i < p.width; i++) {
        vec d_k[N], d_v = {};
        for (int u = 0; u < N; u++) d_k[u] = load(&g.keys[i * w.padded + j + u * LANES]);
        Exponential e[N];
        for (int u = 0; u < N; u++) e[u] = w.exponential_of(i, j + u * LANES);
        for (int t = 0; t < ROWS; t++) {
            vec d_q = load(&g.q[(i * ROWS + t) * LANES]);
            for (int u = 0; u < N; u++) {
                Tanh x = w.tanh_of(i, t, j + u * LANES, e[u]);
                vec d_sum = d_score[t][u] * x.slope;
                d_v += d_score[t][u] * x.h;
                d_q += d_sum;
                d_k[u] += d_sum;
            }
            store(&g.q[(i * ROWS + t) * LANES], d_q);
        }
        for (int u = 0; u < N; u++) store(&g.keys[i * w.padded + j + u * LANES], d_k[u]);
        store(&g.rows_v[i * LANES], load(&g.rows_v[i * LANES]) + d_v);
    }
}

void backward_rows(Work& w, Gradients& g, const Outcome& o) {
    const Problem& p = w.p;
    g.clear_rows();
    vec total[ROWS] = {};
    by_blocks(w.padded, [&](auto vecs, int64_t j) { weigh_block<decltype(vecs)::value>(w, g, o, j, total); });
    float delta[ROWS];
    for (int t = 0; t < ROWS; t++) delta[t] = sum(total[t]);
    by_blocks(w.padded, [&](auto vecs, int64_t j) { score_gradients<decltype(vecs)::value>(w, g, j, delta); });
    for (int64_t i = 0; i < p.width; i++) g.v[i] += sum(load(&g.rows_v[i * LANES]));
    for (int64_t t = 0; t < w.count; t++)
        for (int64_t i = 0; i < p.width; i++)
            o.d_q[(w.task_head * p.queries + w.first + t) * p.width + i] =
                w.v[i] * sum(load(&g.q[(i * ROWS + t) * LANES]));
}

// Calls rows() for all queries of a task.
template <typename Rows>
void all_rows(Work& w, int64_t chunk, Rows rows) {
    int64_t size = up((w.p.queries + w.p.chunks - 1) / w.p.chunks, ROWS);
    int64_t end = std::min(w.p.queries, (chunk + 1) * size);
    for (int64_t t = chunk * size; t < end; t += ROWS) {
        w.read_rows(t, std::min(t + ROWS, end));
        rows();
    }
}

}  // namespace

extern "C" {

void additive_forward(const Problem* problem, float* context, float* softmax) {
    const Problem& p = *problem;
#pragma omp parallel num_threads(p.threads)
    {
        Work w(p);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < p.batch * p.heads * p.chunks; task++) {
            w.read_head(task / p.chunks);
            all_rows(w, task % p.chunks, [&] { forward_rows(w, context, softmax); });
        }
    }
}

void additive_backward(const Problem* problem, const Outcome* outcome) {
    const Problem& p = *problem;
#pragma omp parallel num_threads(p.threads)
    {
        Work w(p);
        Gradients g(w);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < p.batch * p.heads * p.chunks; task++) {
            w.read_head(task / p.chunks);
            g.clear();
            all_rows(w, task % p.chunks, [&] {
                backward_rows(w, g, *outcome);
                if ((w.first + ROWS) % SUMMED == 0) g.sum_up();
            });
            g.sum_up();
            for (int64_t i = 0; i < p.width; i++) {
                for (int64_t j = 0; j < p.keys; j++)
                    outcome->d_k[(task * p.keys + j) * p.width + i] = w.v[i] * g.all_keys[i * w.padded + j];
                outcome->d_v[task * p.width + i] = (float)g.v[i];
            }
            for (int64_t c = 0; c < p.value_width; c++)
                for (int64_t j = 0; j < p.keys; j++)
                    outcome->d_values[(task * p.keys + j) * p.value_width + c] = g.all_values[c * w.padded + j];
        }
    }
}
}
