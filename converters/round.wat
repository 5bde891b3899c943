;; float32 rounded to the nearest 16-bit float, ties to even, four at once. round-module.ts holds this assembled.
;;
;; Both functions read $count floats, a multiple of four, from $from and write their halves to $to. They return whether one
;; of them was NaN, infinite, or beyond the largest finite half.
(module
  (memory (export "memory") 24)

  (func (export "float16") (param $from i32) (param $to i32) (param $count i32) (result i32)
    (local $bits v128) (local $size v128) (local $capped v128) (local $half v128) (local $odd v128)
    (loop $four
      (local.set $bits (v128.load (local.get $from)))
      (local.set $size (v128.and (local.get $bits) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
      ;; what is not below 65520 becomes infinite, as 65520 does
      (local.set $capped (i32x4.min_u (local.get $size) (v128.const i32x4 0x477ff000 0x477ff000 0x477ff000 0x477ff000)))
      ;; normal: the exponent's bias less 112, plus just below half of the last place, plus one where that is odd
      (local.set $half
        (i32x4.shr_u
          (i32x4.add
            (i32x4.add (local.get $capped) (v128.const i32x4 0xc8000fff 0xc8000fff 0xc8000fff 0xc8000fff))
            (v128.and (i32x4.shr_u (local.get $capped) (i32.const 13)) (v128.const i32x4 1 1 1 1)))
          (i32.const 13)))
      ;; below 2^-14: added to 0.5, whose last place is 2^-24, the processor rounds it to a multiple of that
      (local.set $half
        (v128.bitselect
          (i32x4.sub
            (f32x4.add (local.get $size) (v128.const f32x4 0.5 0.5 0.5 0.5))
            (v128.const f32x4 0.5 0.5 0.5 0.5))
          (local.get $half)
          (i32x4.lt_u (local.get $size) (v128.const i32x4 0x38800000 0x38800000 0x38800000 0x38800000))))
      (local.set $half
        (v128.bitselect
          (v128.const i32x4 0x7e00 0x7e00 0x7e00 0x7e00)
          (local.get $half)
          (i32x4.gt_u (local.get $size) (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000))))
      ;; the sign
      (local.set $half
        (v128.or
          (local.get $half)
          (i32x4.shr_u
            (v128.andnot (local.get $bits) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
            (i32.const 16))))
      (v128.store64_lane 0 (local.get $to) (i16x8.narrow_i32x4_u (local.get $half) (local.get $half)))
      (local.set $odd
        (v128.or
          (local.get $odd)
          (i32x4.gt_u (local.get $size) (v128.const i32x4 0x477fe000 0x477fe000 0x477fe000 0x477fe000))))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (br_if $four (local.tee $count (i32.sub (local.get $count) (i32.const 4)))))
    (v128.any_true (local.get $odd)))

  (func (export "bfloat16") (param $from i32) (param $to i32) (param $count i32) (result i32)
    (local $bits v128) (local $upper v128) (local $half v128) (local $nan v128) (local $odd v128) (local $size v128)
    (loop $four
      (local.set $bits (v128.load (local.get $from)))
      (local.set $upper (i32x4.shr_u (local.get $bits) (i32.const 16)))
      (local.set $size (v128.and (local.get $bits) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
      (local.set $half
        (i32x4.shr_u
          (i32x4.add
            (i32x4.add (local.get $bits) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
            (v128.and (local.get $upper) (v128.const i32x4 1 1 1 1)))
          (i32.const 16)))
      ;; NaN keeps what it can of its bits, and one more, lest it become infinite
      (local.set $half
        (v128.bitselect
          (v128.or (local.get $upper) (v128.const i32x4 0x40 0x40 0x40 0x40))
          (local.get $half)
          (i32x4.gt_u (local.get $size) (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000))))
      (v128.store64_lane 0 (local.get $to) (i16x8.narrow_i32x4_u (local.get $half) (local.get $half)))
      (local.set $odd
        (v128.or
          (local.get $odd)
          (i32x4.gt_u (local.get $size) (v128.const i32x4 0x7f7fffff 0x7f7fffff 0x7f7fffff 0x7f7fffff))))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (br_if $four (local.tee $count (i32.sub (local.get $count) (i32.const 4)))))
    (v128.any_true (local.get $odd))))
