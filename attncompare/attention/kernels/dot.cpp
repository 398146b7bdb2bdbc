// Dot-product attention, softmax(scale q . k) values, forward and backward, for sequences whose keys stay in a cache.
//
// A task is a head: its keys and values are copied into whole vectors, as float32 whatever they were, as rows and as columns,
// and its queries follow, BLOCK at a time. All products have one form then (product). The backward pass makes the weights
// again. With g the gradient of the context: dw = g . v, ds = w (dw - sum_j w_j dw_j), dq = ds k, dk = ds q, dv = w g.
#include <algorithm>
#include <vector>

#include "vector.h"

namespace {

constexpr int64_t ROWS = 8;    // rows of a product at a time
constexpr int64_t BLOCK = 32;  // queries at a time

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
};

// Sums `depth` products into ROWS rows of N vectors; where there are fewer rows, what comes of the others is not read.
template <int N>
inline void product_tile(const float* a, int64_t a_row, int64_t a_depth, const float* b, int64_t b_row, int64_t depth, float* c,
                         int64_t c_row, bool add) {
    vec sums[ROWS][N] = {};
    if (add)
        for (int m = 0; m < ROWS; m++)
            for (int u = 0; u < N; u++) sums[m][u] = load(c + m * c_row + u * LANES);
    for (int64_t d = 0; d < depth; d++) {
        vec x[N];
        for (int u = 0; u < N; u++) x[u] = load(b + d * b_row + u * LANES);
        for (int m = 0; m < ROWS; m++)
            for (int u = 0; u < N; u++) sums[m][u] += a[m * a_row + d * a_depth] * x[u];
    }
    for (int m = 0; m < ROWS; m++)
        for (int u = 0; u < N; u++) store(c + m * c_row + u * LANES, sums[m][u]);
}

// c (rows, columns) = a b, or += with `add`, where a is read by its strides, so also as its transpose.
void product(const float* a, int64_t a_row, int64_t a_depth, const Matrix& b, int64_t depth, Matrix& c, int64_t rows, int64_t columns,
             bool add = false) {
    int64_t n = 0;
    for (; n + LANES < columns; n += 2 * LANES)
        for (int64_t m = 0; m < rows; m += ROWS)
            product_tile<2>(a + m * a_row, a_row, a_depth, b.row(0) + n, b.stride, depth, c.row(m) + n, c.stride, add);
    for (; n < columns; n += LANES)
        for (int64_t m = 0; m < rows; m += ROWS)
            product_tile<1>(a + m * a_row, a_row, a_depth, b.row(0) + n, b.stride, depth, c.row(m) + n, c.stride, add);
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
    int64_t causal, threads;
    float scale, dropout;
    uint32_t seed;
};

struct Gradients {
    Rows q, k, values;
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
    std::vector<int32_t> allowed;                            // by key: -1 or 0
    int64_t task = 0, batch = 0, head = 0, first = 0, count = 0, seen = 0;

    explicit Work(const Problem& problem)
        : p(problem), k(p.keys, p.width), k_columns(p.width, p.keys), values(p.keys, p.value_width), q(BLOCK, p.width),
          weights(BLOCK, p.keys), kept(p.dropout > 0 ? BLOCK : 0, p.keys), context(BLOCK, p.value_width),
          allowed(up(p.keys, LANES)) {}

    void read(const Rows& tensor, int64_t from, int64_t rows, int64_t width, float factor, Matrix& to) {
        for (int64_t n = 0; n < rows; n++) {
            const Number* x = row_of<Number>(tensor, batch, head, from + n);
            for (int64_t i = 0; i < width; i += LANES) store(to.row(n) + i, load(x + i, width - i) * factor);
        }
    }

    void write(const Rows& tensor, int64_t from, int64_t rows, int64_t width, float factor, const Matrix& x) {
        for (int64_t n = 0; n < rows; n++) {
            Number* to = row_of<Number>(tensor, batch, head, from + n);
            for (int64_t i = 0; i < width; i += LANES) store(to + i, load(x.row(n) + i) * factor, width - i);
        }
    }

    void read_head(int64_t n) {
        task = n, batch = n / p.heads, head = n % p.heads;
        read(p.k, 0, p.keys, p.width, 1, k);
        read(p.values, 0, p.keys, p.value_width, 1, values);
        transpose(k, p.keys, p.width, k_columns);
        if (!p.mask_query) read_mask(0);
    }

    void read_mask(int64_t query) {
        const uint8_t* m = p.mask ? p.mask + batch * p.mask_batch + head * p.mask_head + query * p.mask_query : nullptr;
        for (int64_t j = 0; j < p.keys; j++) allowed[j] = !m || m[j * p.mask_key] ? -1 : 0;
    }

    // Makes the weights of the block of queries from `from` on.
    void weigh(int64_t from) {
        first = from, count = std::min(BLOCK, p.queries - from);
        seen = p.causal ? std::max<int64_t>(0, std::min(p.keys, first + count + p.keys - p.queries)) : p.keys;
        read(p.q, first, count, p.width, p.scale, q);
        product(q.row(0), q.stride, 1, k_columns, p.width, weights, count, seen);
        for (int64_t t = 0; t < count; t++) softmax(t);
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
            for (Matrix* x : {&weights, &after_dropout()}) std::fill(x->row(t), x->row(t) + x->stride, 0.0f);
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

    // Makes the scores of what must not be seen -infinity, raises `most` to the others', and says whether there are any.
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

// Where each head has one query, as in decoding: keys and values are read where they stand, for copies would take longer.
template <typename Number>
void forward_of_one_query(const Problem& p) {
    const int64_t tasks = p.batch * p.heads;
#pragma omp parallel for num_threads(p.threads) schedule(static) if (tasks * p.keys * p.width > 1 << 13)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t batch = task / p.heads, head = task % p.heads;
        const Number* q = row_of<Number>(p.q, batch, head, 0);
        Number* to = row_of<Number>(p.context, batch, head, 0);
        const uint8_t* mask = p.mask ? p.mask + batch * p.mask_batch + head * p.mask_head : nullptr;
        thread_local std::vector<float> weights;
        weights.assign(up(p.keys, LANES), -INFINITY);
        float top = -INFINITY;
        bool any = false;
        for (int64_t j = 0; j < p.keys; j++) {
            if (mask && !mask[j * p.mask_key]) continue;
            const Number* k = row_of<Number>(p.k, batch, head, j);
            vec products = {};
            for (int64_t i = 0; i < p.width; i += LANES) products += load(q + i, p.width - i) * load(k + i, p.width - i);
            weights[j] = p.scale * sum(products);
            top = weights[j] > top ? weights[j] : top;
            any = true;
        }
        vec total = {};
        for (size_t j = 0; any && j < weights.size(); j += LANES) {
            vec e = exponential(load(&weights[j]) - top);
            store(&weights[j], e);
            total += e;
        }
        const float factor = any ? 1 / sum(total) : 0;
        for (int64_t c = 0; c < p.value_width; c += LANES) {
            vec mixed = {};
            for (int64_t j = 0; any && j < p.keys; j++)
                mixed += weights[j] * load(row_of<Number>(p.values, batch, head, j) + c, p.value_width - c);
            store(to + c, mixed * factor, p.value_width - c);
        }
    }
}

template <typename Number>
void forward(const Problem& p) {
    if (p.queries == 1 && p.dropout == 0) return forward_of_one_query<Number>(p);
    const int64_t tasks = p.batch * p.heads;
#pragma omp parallel num_threads(p.threads) if (tasks * p.queries * p.keys > 1 << 11)
    {
        Work<Number> w(p);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < tasks; task++) {
            w.read_head(task);
            for (int64_t t = 0; t < p.queries; t += BLOCK) {
                w.weigh(t);
                Matrix& weights = w.after_dropout();
                product(weights.row(0), weights.stride, 1, w.values, w.seen, w.context, w.count, p.value_width);
                w.write(p.context, t, w.count, p.value_width, 1, w.context);
            }
        }
    }
}

// What the backward pass needs besides: gradients of a head, and of the weights of the block at work.
struct Slopes {
    Matrix values, weights, q, k_sum, values_sum;

    explicit Slopes(const Problem& p)
        : values(p.value_width, p.keys), weights(BLOCK, p.keys), q(BLOCK, p.width), k_sum(p.keys, p.width),
          values_sum(p.keys, p.value_width) {}
};

// Turns the gradients of a row's weights, after dropout, into those of its scores: of `reach` keys, the others of `keys` have 0.
void slope(const float* weights, const float* kept, float* slopes, int64_t reach, int64_t keys) {
    vec mean = {};
    for (int64_t j = 0; j < reach; j += LANES) mean += load(kept + j) * load(slopes + j);
    const float whole = sum(mean);
    for (int64_t j = 0; j < reach; j += LANES) store(slopes + j, load(kept + j) * load(slopes + j) - load(weights + j) * whole);
    for (int64_t j = reach; j < keys; j += LANES) store(slopes + j, vec{});
}

template <typename Number>
void backward(const Problem& p, const Gradients& to) {
    const int64_t tasks = p.batch * p.heads;
#pragma omp parallel num_threads(p.threads) if (tasks * p.queries * p.keys > 1 << 11)
    {
        Work<Number> w(p);
        Slopes s(p);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < tasks; task++) {
            w.read_head(task);
            transpose(w.values, p.keys, p.value_width, s.values);
            s.k_sum.clear(), s.values_sum.clear();
            for (int64_t t = 0; t < p.queries; t += BLOCK) {
                w.weigh(t);
                Matrix& kept = w.after_dropout();
                w.read(p.context, t, w.count, p.value_width, 1, w.context);
                product(w.context.row(0), w.context.stride, 1, s.values, p.value_width, s.weights, w.count, w.seen);
                product(kept.row(0), 1, kept.stride, w.context, w.count, s.values_sum, w.seen, p.value_width, true);
                for (int64_t n = 0; n < w.count; n++)
                    slope(w.weights.row(n), kept.row(n), s.weights.row(n), up(w.end(n), LANES), w.seen);
                product(s.weights.row(0), s.weights.stride, 1, w.k, w.seen, s.q, w.count, p.width);
                product(s.weights.row(0), 1, s.weights.stride, w.q, w.count, s.k_sum, w.seen, p.width, true);
                w.write(to.q, t, w.count, p.width, p.scale, s.q);
            }
            w.write(to.k, 0, p.keys, p.width, 1, s.k_sum);
            w.write(to.values, 0, p.keys, p.value_width, 1, s.values_sum);
        }
    }
}

}  // namespace

extern "C" {

void dot_forward(const Problem* problem, int64_t half) { half ? forward<Half>(*problem) : forward<float>(*problem); }

void dot_backward(const Problem* problem, const Gradients* gradients, int64_t half) {
    half ? backward<Half>(*problem, *gradients) : backward<float>(*problem, *gradients);
}
}
