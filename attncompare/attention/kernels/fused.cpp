// Attention, softmax(score(q, k)) values, forward and backward, in memory linear in T and S; the score is a scaled dot product
// or additive, v . tanh(q + k).
//
// A task is a head, or a range of its queries where there are few heads: keys and values are copied into whole vectors, as
// float32 whatever they were, as rows and as columns, and the queries follow, BLOCK at a time. All products have one form then
// (product). The backward pass makes the weights again. With g the gradient of the context: dw = g . v,
// ds = w (dw - sum_j w_j dw_j), dv = w g, and for a dot product dq = ds k, dk = ds q. The gradients of a row's scores add up to 0
// because what is taken from each is the sum of these very numbers, not, as in FlashAttention, a product with the rounded context.
//
// Additive: h = tanh(q + k) = n / (n + 2) with n = e^(2q) e^(2k) - 1, so (T + S) K exponentials serve T S K products and
// reciprocals. Near 0 the difference n would lose its digits, so each exponential is the sum of two floats: n is as exact as
// tanh then. dq = dk = v ds (1 - h^2), dv = ds h. A lane is a key, so that the sum over K stays inside a lane.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "vector.h"

namespace {

constexpr int64_t BLOCK = 32;   // queries at a time
constexpr int64_t ROWS = 8;     // rows of a product at a time
constexpr int64_t DEPTH = 256;  // products of a sum at a time: in one chain, the error would grow with the number of keys
constexpr int64_t GROUP = 4;    // additive: queries, and vectors of keys, at a time
constexpr float LIMIT = 21;     // up to there e^(2q) e^(2k), and its reciprocal, are well inside of float32

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

struct alignas(sizeof(vec)) Line {
    float numbers[LANES];
};

// Rows of floats, each filled up to whole vectors with zeros.
struct Matrix {
    const int64_t stride;
    std::vector<Line> lines;

    Matrix(int64_t rows, int64_t columns) : stride(up(columns, LANES)), lines(up(rows, LANES) * stride / LANES) {}

    float* row(int64_t n) { return lines.data()->numbers + n * stride; }
    const float* row(int64_t n) const { return lines.data()->numbers + n * stride; }
    void clear() { std::fill(lines.begin(), lines.end(), Line{}); }
    void clear_rows(int64_t from, int64_t to) { std::fill(row(from), row(to), 0.0f); }
};

// Sums `depth` products into ROWS rows of N vectors; where there are fewer rows, the result of the others is not read.
template <int N>
inline void product_tile(const float* a, int64_t a_row, int64_t a_depth, const float* b, int64_t b_row, int64_t depth, float* c,
                         int64_t c_row, bool add) {
    vec sums[ROWS][N] = {};
    for (int64_t d = 0; d < depth; d++) {
        vec x[N];
        for (int u = 0; u < N; u++) x[u] = load(b + d * b_row + u * LANES);
        for (int m = 0; m < ROWS; m++)
            for (int u = 0; u < N; u++) sums[m][u] += a[m * a_row + d * a_depth] * x[u];
    }
    for (int m = 0; m < ROWS; m++)
        for (int u = 0; u < N; u++) {
            float* to = c + m * c_row + u * LANES;
            store(to, add ? load(to) + sums[m][u] : sums[m][u]);
        }
}

// c (rows, columns) = a b, or += with `add`, where a is read by its strides, so also as its transpose.
void product(const float* a, int64_t a_row, int64_t a_depth, const Matrix& b, int64_t depth, Matrix& c, int64_t rows, int64_t columns,
             bool add = false) {
    for (int64_t d = 0; d == 0 || d < depth; d += DEPTH, add = true) {
        const int64_t some = std::min(DEPTH, depth - d);
        const float* from = a + d * a_depth;
        int64_t n = 0;
        for (; n + LANES < columns; n += 2 * LANES)
            for (int64_t m = 0; m < rows; m += ROWS)
                product_tile<2>(from + m * a_row, a_row, a_depth, b.row(d) + n, b.stride, some, c.row(m) + n, c.stride, add);
        for (; n < columns; n += LANES)
            for (int64_t m = 0; m < rows; m += ROWS)
                product_tile<1>(from + m * a_row, a_row, a_depth, b.row(d) + n, b.stride, some, c.row(m) + n, c.stride, add);
    }
}

void transpose(const Matrix& from, int64_t rows, int64_t columns, Matrix& to) {
    for (int64_t n = 0; n < rows; n += LANES)
        for (int64_t m = 0; m < columns; m += LANES) {
            vec tile[LANES];
            for (int i = 0; i < LANES; i++) tile[i] = load(from.row(n + i) + m);
            ::transpose(tile);
            for (int i = 0; i < LANES; i++) store(to.row(m + i) + n, tile[i]);
        }
}

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

// Calls block(number of vectors, first key) for all keys, GROUP vectors at a time.
template <typename Block>
void by_blocks(int64_t keys, Block block) {
    for (int64_t j = 0; j < keys; j += GROUP * LANES) switch (std::min(GROUP, (keys - j + LANES - 1) / LANES)) {
            case 1: block(std::integral_constant<int, 1>(), j); break;
            case 2: block(std::integral_constant<int, 2>(), j); break;
            case 3: block(std::integral_constant<int, 3>(), j); break;
            default: block(std::integral_constant<int, 4>(), j);
        }
}

}  // namespace

extern "C" {

// A tensor (B, H, rows, width) whose rows are whole; strides in numbers.
struct Rows {
    void* at;
    int64_t batch, head, row;
};

struct Problem {
    int64_t batch, heads, queries, keys, width, value_width;
    int64_t mask_batch, mask_head, mask_query, mask_key;  // strides in bytes
    Rows q, k, values, context;                           // context: the result, or its gradient
    const uint8_t* mask;                                  // null: everything is allowed
    const float* v;                                       // additive: (H, K); null: the score is a dot product
    int64_t causal, threads, chunks;                      // chunks: tasks that share a head
    float scale, dropout;
    uint32_t seed;
};

// Of keys and values, each chunk of a head has a share: head * chunks + chunk counts as their head; v: (B, H, chunks, K).
struct Gradients {
    Rows q, k, values;
    float* v;
};
}

namespace {

template <typename Number>
Number* row_of(const Rows& tensor, int64_t batch, int64_t head, int64_t row) {
    return (Number*)tensor.at + batch * tensor.batch + head * tensor.head + row * tensor.row;
}

// One head, and the block of its queries at work.
template <typename Number>
struct Work {
    const Problem& p;
    Matrix k, k_columns, values, q, weights, kept, context;  // kept: what dropout leaves of the weights
    Matrix high_k, low_k, high_q, low_q;                     // additive: the exponentials, keys as columns
    std::vector<int32_t> allowed;                            // by key: -1 or 0
    std::vector<uint8_t> odd_k, odd;                         // by i of K: whether some key, or key or query, does not fit
    const float* v = nullptr;
    int64_t task = 0, batch = 0, head = 0, first = 0, count = 0, seen = 0;

    explicit Work(const Problem& problem)
        : p(problem), k(p.keys, p.width), k_columns(p.width, p.keys), values(p.keys, p.value_width), q(BLOCK, p.width),
          weights(BLOCK, p.keys), kept(p.dropout > 0 ? BLOCK : 0, p.keys), context(BLOCK, p.value_width),
          high_k(p.v ? p.width : 0, p.keys), low_k(high_k), high_q(p.v ? BLOCK : 0, p.width), low_q(high_q),
          allowed(up(p.keys, LANES)), odd_k(p.width), odd(p.width) {}

    void read(const Rows& tensor, int64_t from, int64_t rows, int64_t width, float factor, Matrix& to) {
        for (int64_t n = 0; n < rows; n++) {
            const Number* x = row_of<Number>(tensor, batch, head, from + n);
            for (int64_t i = 0; i < width; i += LANES) store(to.row(n) + i, load(x + i, width - i) * factor);
        }
    }

    void write(const Rows& tensor, int64_t at, int64_t from, int64_t rows, int64_t width, float factor, const Matrix& x) {
        for (int64_t n = 0; n < rows; n++) {
            Number* to = row_of<Number>(tensor, batch, at, from + n);
            for (int64_t i = 0; i < width; i += LANES) store(to + i, load(x.row(n) + i) * factor, width - i);
        }
    }

    void read_head(int64_t n) {
        task = n, batch = n / p.heads, head = n % p.heads;
        read(p.k, 0, p.keys, p.width, 1, k);
        read(p.values, 0, p.keys, p.value_width, 1, values);
        transpose(k, p.keys, p.width, k_columns);
        if (!p.mask_query) read_mask(0);
        if (!p.v) return;
        v = p.v + head * p.width;
        for (int64_t i = 0; i < p.width; i++) odd_k[i] = split(k_columns.row(i), p.keys, high_k.row(i), low_k.row(i));
    }

    // Writes the exponentials of 2 x; says whether some x does not fit.
    static bool split(const float* x, int64_t count, float* high, float* low) {
        ivec fits = ivec{} - 1;
        const vec bound = all(LIMIT);
        for (int64_t j = 0; j < count; j += LANES) {
            vec y = load(x + j), one, other;
            fits &= (y < bound) & (y > -bound);
            exponential(2 * (y > bound ? bound : y < -bound ? -bound : y), one, other);
            store(high + j, one);
            store(low + j, other);
        }
        bool none = false;
        for (int l = 0; l < LANES; l++) none |= !fits[l];
        return none;
    }

    void read_mask(int64_t query) {
        const uint8_t* m = p.mask ? p.mask + batch * p.mask_batch + head * p.mask_head + query * p.mask_query : nullptr;
        for (int64_t j = 0; j < p.keys; j++) allowed[j] = !m || m[j * p.mask_key] ? -1 : 0;
    }

    // Makes the weights of the queries from `from` up to `to`.
    void weigh(int64_t from, int64_t to) {
        first = from, count = std::min(BLOCK, to - from);
        seen = p.causal ? std::max<int64_t>(0, std::min(p.keys, first + count + p.keys - p.queries)) : p.keys;
        read(p.q, first, count, p.width, p.scale, q);
        if (p.v) score_additively();
        else product(q.row(0), q.stride, 1, k_columns, p.width, weights, count, seen);
        for (int64_t t = 0; t < count; t++) softmax(t);
    }

    void score_additively() {
        const int64_t rows = up(count, GROUP);
        q.clear_rows(count, rows);
        std::copy(odd_k.begin(), odd_k.end(), odd.begin());
        for (int64_t t = 0; t < rows; t++) {
            split(q.row(t), p.width, high_q.row(t), low_q.row(t));
            for (int64_t i = 0; i < p.width; i++) odd[i] |= !(q.row(t)[i] < LIMIT && q.row(t)[i] > -LIMIT);
        }
        for (int64_t t = 0; t < rows; t += GROUP)
            by_blocks(seen, [&](auto vecs, int64_t j) { score_group<decltype(vecs)::value>(t, j); });
    }

    Exponential exponential_of(int64_t i, int64_t j) const { return {load(high_k.row(i) + j), load(low_k.row(i) + j)}; }

    // tanh(q + k) of number i of row t and the keys from j on.
    Tanh tanh_of(int64_t i, int64_t t, int64_t j, Exponential e) const {
        const float high = high_q.row(t)[i], low = low_q.row(t)[i];
        if (__builtin_expect(odd[i], 0)) return careful_tanh(q.row(t)[i], high, low, load(k_columns.row(i) + j), e);
        return fast_tanh(high, low, e);
    }

    // Scores a group of rows for N vectors of keys from j on.
    template <int N>
    void score_group(int64_t t, int64_t j) {
        vec acc[GROUP][N] = {};
        for (int64_t i = 0; i < p.width; i++) {
            Exponential e[N];
            for (int u = 0; u < N; u++) e[u] = exponential_of(i, j + u * LANES);
            for (int r = 0; r < GROUP; r++)
                for (int u = 0; u < N; u++) acc[r][u] += v[i] * tanh_of(i, t + r, j + u * LANES, e[u]).h;
        }
        for (int r = 0; r < GROUP; r++)
            for (int u = 0; u < N; u++) store(weights.row(t + r) + j + u * LANES, acc[r][u]);
    }

    Matrix& after_dropout() { return p.dropout > 0 ? kept : weights; }

    // The keys before this one are all that row t of the block may attend to; 0: there is none.
    int64_t end(int64_t t) const {
        return p.causal ? std::max<int64_t>(0, std::min(p.keys, first + t + 1 + p.keys - p.queries)) : p.keys;
    }

    void softmax(int64_t t) {
        float* row = weights.row(t);
        if (p.mask_query) read_mask(first + t);
        const int64_t reach = up(end(t), LANES);
        vec most = all(-INFINITY), total = {};
        if (!hide(row, end(t), most)) {
            for (Matrix* x : {&weights, &after_dropout()}) x->clear_rows(t, t + 1);
            return;
        }
        const float top = largest(most);
        for (int64_t j = 0; j < reach; j += LANES) {
            vec e = exponential(load(row + j) - top);
            store(row + j, e);
            total += e;
        }
        const float factor = 1 / sum(total);
        for (int64_t j = 0; j < reach; j += LANES) store(row + j, load(row + j) * factor);
        for (int64_t j = reach; j < seen; j += LANES) store(row + j, vec{});
        if (p.dropout > 0) {
            Dropout mask(p.dropout, p.seed, (uint32_t)(task * p.queries + first + t));
            for (int64_t j = 0; j < seen; j += LANES) store(kept.row(t) + j, load(row + j) * mask.at((uint32_t)j));
        }
    }

    // Makes the scores of what must not be seen -infinity, raises `most` to the largest other, and says whether there is one.
    bool hide(float* row, int64_t end, vec& most) {
        const int64_t free = p.mask ? 0 : end / LANES * LANES;  // until there, all is seen
        vec any = {};
        for (int64_t j = 0; j < free; j += LANES) most = larger(load(row + j), most);
        for (int64_t j = free; j < end; j += LANES) {
            ivec may;
            std::memcpy(&may, &allowed[j], sizeof may);
            may &= NUMBERED + (int32_t)j < (int32_t)end;
            vec score = choose(may, load(row + j), all(-INFINITY));
            store(row + j, score);
            most = larger(score, most);
            any = choose(may, all(1), any);
        }
        return free > 0 || largest(any) > 0;
    }
};

// Calls block() for all queries of a task, BLOCK at a time, after their weights were made.
template <typename Number, typename Block>
void all_blocks(Work<Number>& w, int64_t chunk, Block block) {
    const int64_t size = up((w.p.queries + w.p.chunks - 1) / w.p.chunks, BLOCK);
    const int64_t end = std::min(w.p.queries, (chunk + 1) * size);
    for (int64_t t = chunk * size; t < end; t += BLOCK) {
        w.weigh(t, end);
        block(t);
    }
}

template <typename Number>
void forward(const Problem& p) {
    const int64_t tasks = p.batch * p.heads * p.chunks;
#pragma omp parallel num_threads(p.threads) if (tasks * p.queries * p.keys > 1 << 11)
    {
        Work<Number> w(p);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < tasks; task++) {
            w.read_head(task / p.chunks);
            all_blocks(w, task % p.chunks, [&](int64_t t) {
                Matrix& weights = w.after_dropout();
                product(weights.row(0), weights.stride, 1, w.values, w.seen, w.context, w.count, p.value_width);
                w.write(p.context, w.head, t, w.count, p.value_width, 1, w.context);
            });
        }
    }
}

// What the backward pass needs besides: gradients of a task, and of the weights, then scores, of the block at work.
// Additive: those of keys are columns, those of the block are added to those of the task, and a number of queries or of v has a
// lane for each of the keys that stand beside each other.
struct Slopes {
    Matrix values, weights, q, k_sum, values_sum, k_columns, k_columns_sum;
    std::vector<Line> q_lanes, v_lanes;
    std::vector<double> v_sum;

    explicit Slopes(const Problem& p)
        : values(p.value_width, p.keys), weights(BLOCK, p.keys), q(BLOCK, p.width), k_sum(p.keys, p.width),
          values_sum(p.keys, p.value_width), k_columns(p.v ? p.width : 0, p.keys), k_columns_sum(k_columns),
          q_lanes(p.width * GROUP), v_lanes(p.width), v_sum(p.width) {}

    void clear() {
        for (Matrix* x : {&k_sum, &values_sum, &k_columns, &k_columns_sum}) x->clear();
        std::fill(v_sum.begin(), v_sum.end(), 0.0);
    }
};

// Turns the gradients of a row's weights, after dropout, into those of its scores: of `reach` keys; the rest of `keys` have 0.
void slope(const float* weights, const float* kept, float* slopes, int64_t reach, int64_t keys) {
    vec mean = {};
    for (int64_t j = 0; j < reach; j += LANES) mean += load(kept + j) * load(slopes + j);
    const float whole = sum(mean);
    for (int64_t j = 0; j < reach; j += LANES) store(slopes + j, load(kept + j) * load(slopes + j) - load(weights + j) * whole);
    for (int64_t j = reach; j < keys; j += LANES) store(slopes + j, vec{});
}

template <int N, typename Number>
void additive_group(const Work<Number>& w, Slopes& s, int64_t t, int64_t j) {
    vec d_score[GROUP][N];
    for (int r = 0; r < GROUP; r++)
        for (int u = 0; u < N; u++) d_score[r][u] = load(s.weights.row(t + r) + j + u * LANES);
    for (int64_t i = 0; i < w.p.width; i++) {
        vec d_k[N], d_v = load(s.v_lanes[i].numbers);
        Exponential e[N];
        for (int u = 0; u < N; u++) d_k[u] = load(s.k_columns.row(i) + j + u * LANES), e[u] = w.exponential_of(i, j + u * LANES);
        for (int r = 0; r < GROUP; r++) {
            float* lanes = s.q_lanes[i * GROUP + r].numbers;
            vec d_q = load(lanes);
            for (int u = 0; u < N; u++) {
                Tanh x = w.tanh_of(i, t + r, j + u * LANES, e[u]);
                vec d_sum = d_score[r][u] * x.slope;
                d_v += d_score[r][u] * x.h;
                d_q += d_sum;
                d_k[u] += d_sum;
            }
            store(lanes, d_q);
        }
        for (int u = 0; u < N; u++) store(s.k_columns.row(i) + j + u * LANES, d_k[u]);
        store(s.v_lanes[i].numbers, d_v);
    }
}

// From the gradients of the block's scores to those of its queries, of keys and of v.
template <typename Number>
void additive_slopes(const Work<Number>& w, Slopes& s) {
    const int64_t width = w.p.width, rows = up(w.count, GROUP);
    s.weights.clear_rows(w.count, rows);
    for (int64_t t = 0; t < rows; t += GROUP) {
        for (auto* lanes : {&s.q_lanes, &s.v_lanes}) std::fill(lanes->begin(), lanes->end(), Line{});
        by_blocks(w.seen, [&](auto vecs, int64_t j) { additive_group<decltype(vecs)::value>(w, s, t, j); });
        for (int64_t i = 0; i < width; i++) {
            for (int r = 0; r < GROUP; r++) s.q.row(t + r)[i] = w.v[i] * sum(load(s.q_lanes[i * GROUP + r].numbers));
            s.v_sum[i] += sum(load(s.v_lanes[i].numbers));
        }
    }
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j < w.seen; j += LANES) {
            store(s.k_columns_sum.row(i) + j, load(s.k_columns_sum.row(i) + j) + w.v[i] * load(s.k_columns.row(i) + j));
            store(s.k_columns.row(i) + j, vec{});
        }
}

template <typename Number>
void backward(const Problem& p, const Gradients& to) {
    const int64_t tasks = p.batch * p.heads * p.chunks;
#pragma omp parallel num_threads(p.threads) if (tasks * p.queries * p.keys > 1 << 11)
    {
        Work<Number> w(p);
        Slopes s(p);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < tasks; task++) {
            w.read_head(task / p.chunks);
            transpose(w.values, p.keys, p.value_width, s.values);
            s.clear();
            all_blocks(w, task % p.chunks, [&](int64_t t) {
                Matrix& kept = w.after_dropout();
                w.read(p.context, t, w.count, p.value_width, 1, w.context);
                product(w.context.row(0), w.context.stride, 1, s.values, p.value_width, s.weights, w.count, w.seen);
                product(kept.row(0), 1, kept.stride, w.context, w.count, s.values_sum, w.seen, p.value_width, true);
                for (int64_t n = 0; n < w.count; n++)
                    slope(w.weights.row(n), kept.row(n), s.weights.row(n), up(w.end(n), LANES), w.seen);
                if (p.v) {
                    additive_slopes(w, s);
                } else {
                    product(s.weights.row(0), s.weights.stride, 1, w.k, w.seen, s.q, w.count, p.width);
                    product(s.weights.row(0), 1, s.weights.stride, w.q, w.count, s.k_sum, w.seen, p.width, true);
                }
                w.write(to.q, w.head, t, w.count, p.width, p.scale, s.q);
            });
            if (p.v) {
                transpose(s.k_columns_sum, p.width, p.keys, s.k_sum);
                for (int64_t i = 0; i < p.width; i++) to.v[task * p.width + i] = (float)s.v_sum[i];
            }
            const int64_t at = w.head * p.chunks + task % p.chunks;
            w.write(to.k, at, 0, p.keys, p.width, 1, s.k_sum);
            w.write(to.values, at, 0, p.keys, p.value_width, 1, s.values_sum);
        }
    }
}

}  // namespace

extern "C" {

void attention_forward(const Problem* problem, int64_t half) { half ? forward<Half>(*problem) : forward<float>(*problem); }

void attention_backward(const Problem* problem, const Gradients* gradients, int64_t half) {
    half ? backward<Half>(*problem, *gradients) : backward<float>(*problem, *gradients);
}
}
