// Sixteen floats at a time, in the vector extensions of GCC and Clang, which become whatever the processor has.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

constexpr int64_t LANES = 16;
typedef float vec __attribute__((vector_size(64)));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef uint32_t uvec __attribute__((vector_size(64)));
static const ivec NUMBERED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};  // the lanes

static inline vec load(const float* from) {
    vec x;
    std::memcpy(&x, from, sizeof x);
    return x;
}
static inline void store(float* to, vec x) { std::memcpy(to, &x, sizeof x); }
static inline vec all(float x) { return vec{} + x; }
static inline vec choose(ivec yes, vec a, vec b) { return yes ? a : b; }
static inline vec larger(vec a, vec b) { return a > b ? a : b; }

// The numbers of the first (last) halves of two vectors, by turns: a0 b0 a1 b1 ...
#ifdef __clang__
static inline vec turns_of_first(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
static inline vec turns_of_last(vec a, vec b) { return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }
#else
static inline vec turns_of_first(vec a, vec b) { return __builtin_shuffle(a, b, ivec{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}); }
static inline vec turns_of_last(vec a, vec b) { return __builtin_shuffle(a, b, ivec{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}); }
#endif

// Turns sixteen rows of sixteen numbers into their columns: each of four rounds moves a bit of the row into the column.
static inline void transpose(vec* rows) {
    vec other[LANES];
    for (int round = 0; round < 4; round++) {
        vec *from = round % 2 ? other : rows, *to = round % 2 ? rows : other;
        for (int i = 0; i < LANES / 2; i++) {
            to[2 * i] = turns_of_first(from[i], from[i + LANES / 2]);
            to[2 * i + 1] = turns_of_last(from[i], from[i + LANES / 2]);
        }
    }
}

typedef float half_vec __attribute__((vector_size(32)));
typedef float quarter_vec __attribute__((vector_size(16)));

// The sixteen numbers of a vector made into one, neighbours at half the distance each time.
template <typename Pair>
static inline float folded(vec x, Pair pair) {
    half_vec halves[2];
    std::memcpy(halves, &x, sizeof x);
    half_vec eight = pair(halves[0], halves[1]);
    quarter_vec quarters[2];
    std::memcpy(quarters, &eight, sizeof eight);
    quarter_vec four = pair(quarters[0], quarters[1]);
    return pair(pair(four[0], four[2]), pair(four[1], four[3]));
}
static inline float sum(vec x) {
    return folded(x, [](auto a, auto b) { return a + b; });
}
static inline float largest(vec x) {
    return folded(x, [](auto a, auto b) { return a > b ? a : b; });
}

// Numbers as they stand in a tensor, float32 or bfloat16 (its upper half; rounded to the nearest, of two such to the even one).
struct Half {
    uint16_t bits;
};
typedef uint16_t bits_vec __attribute__((vector_size(32)));

static inline vec load(const Half* from) {
    bits_vec bits;
    std::memcpy(&bits, from, sizeof bits);
    return (vec)(__builtin_convertvector(bits, uvec) << 16);
}
static inline void store(Half* to, vec x) {
    uvec bits = (uvec)x;
    uvec rounded = (bits + (0x7fffu + ((bits >> 16) & 1u))) >> 16;
    rounded = (uvec)choose(x == x, (vec)rounded, (vec)(uvec{} + 0x7fc0u));
    bits_vec upper = __builtin_convertvector(rounded, bits_vec);
    std::memcpy(to, &upper, sizeof upper);
}

// The first `count` numbers of a vector, the others 0.
template <typename Number>
static inline vec load(const Number* from, int64_t count) {
    if (count >= LANES) return load(from);
    Number numbers[LANES] = {};
    std::memcpy(numbers, from, count * sizeof(Number));
    return load(numbers);
}
template <typename Number>
static inline void store(Number* to, vec x, int64_t count) {
    if (count >= LANES) {
        store(to, x);
        return;
    }
    Number numbers[LANES];
    store(numbers, x);
    std::memcpy(to, numbers, count * sizeof(Number));
}

// 1 / x for x in [1, 2^100], within 1 unit in the last place or so.
static inline vec reciprocal(vec x) {
#ifdef __AVX512F__
    vec r = (vec)_mm512_rcp14_ps((__m512)x);
    return r + r * (1 - x * r);  // one step of Newton's doubles the 14 bits
#else
    return 1 / x;
#endif
}

// e^x, within 2 units in the last place; 0 below -87, infinite above 88.7, NaN for NaN.
static inline vec exponential(vec x) {
    const vec low = all(-87.3f), high = all(88.7f);
    vec y = x < low ? low : x;
    y = y > high ? high : y;
    // e^y = 2^n e^f with f in [-ln(2)/2, ln(2)/2]; ln 2 in two parts, so that f is exact.
    vec n = y * 1.44269504f + 12582912.0f;
    ivec bits = (ivec)n;
    n -= 12582912.0f;
    vec f = y - n * 0.693145752f - n * 1.42860677e-6f;
    vec p = all(1.3988848e-3f);
    p = p * f + 8.3637882e-3f;
    p = p * f + 4.1666046e-2f;
    p = p * f + 1.6666544e-1f;
    p = p * f + 0.5f;
    p = p * (f * f) + f + 1;
    vec scaled = (vec)((ivec)p + (bits << 23));
    scaled = x < low ? all(0) : scaled;
    scaled = x > high ? all(INFINITY) : scaled;
    return x == x ? scaled : x;
}

typedef double wide_vec __attribute__((vector_size(64)));
typedef int64_t wide_ivec __attribute__((vector_size(64)));

// e^x as the sum of two floats, together as exact as 44 bits; for |x| <= 44.
static inline void exponential(vec x, vec& high, vec& low) {
    half_vec halves[2], highs[2], lows[2];
    std::memcpy(halves, &x, sizeof x);
    for (int i = 0; i < 2; i++) {
        wide_vec y = __builtin_convertvector(halves[i], wide_vec);
        wide_vec n = y * 1.4426950408889634 + 0x1.8p52;
        wide_ivec bits = (wide_ivec)n;
        n -= 0x1.8p52;
        wide_vec f = y - n * 0.6931471805599453, p = wide_vec{} + 1.0 / 3628800;  // 1 / 10!, and so on
        for (double factor : {1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
            p = p * f + factor;
        p = (wide_vec)((wide_ivec)p + (bits << 52));
        highs[i] = __builtin_convertvector(p, half_vec);
        lows[i] = __builtin_convertvector(p - __builtin_convertvector(highs[i], wide_vec), half_vec);
    }
    std::memcpy(&high, highs, sizeof high);
    std::memcpy(&low, lows, sizeof low);
}

// A hash of two numbers, the lowbias32 of C. Wellons applied to their mixture: a counter that makes random bits.
static inline uvec random_bits(uvec counter, uint32_t key) {
    uvec x = counter * 0x9E3779B9u ^ key;
    x ^= x >> 16;
    x *= 0x21f0aaadu;
    x ^= x >> 15;
    x *= 0xd35a2d97u;
    x ^= x >> 15;
    return x;
}

// What dropout multiplies with: 0, or 1 / (1 - probability), for each number of a row.
struct Dropout {
    const float probability, factor;
    const uint32_t key;

    Dropout(float probability, uint32_t seed, uint32_t row)
        : probability(probability), factor(1 / (1 - probability)), key(random_bits(uvec{} + row, seed)[0]) {}

    // Those of the sixteen numbers from `first` on.
    vec at(uint32_t first) const {
        vec uniform = __builtin_convertvector((ivec)(random_bits((uvec)NUMBERED + first, key) >> 8), vec) * 0x1p-24f;
        return uniform < probability ? all(0) : all(factor);
    }
};
