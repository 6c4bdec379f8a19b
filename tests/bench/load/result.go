package main

import (
	"math"
	"sort"
	"time"
)

// What a job found. Times are in ms unless their name says otherwise.
type result struct {
	Operations int64   `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	Errors     int64   `json:"errors"`
	FirstError string  `json:"first_error,omitempty"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	Largest    float64 `json:"largest_ms"`
	cost

	Members []member `json:"members,omitempty"`
	Gaps    *gaps    `json:"gaps,omitempty"`
	FirstNs []int64  `json:"first_ns,omitempty"` // since 1970, of the first answer of each endpoint
}

// The smallest of the sorted `values` that at least this share of them does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share*float64(len(sorted)))) - 1
	if rank < 0 {
		rank = 0
	}
	return sorted[rank]
}

func milliseconds(span time.Duration) float64 { return float64(span) / float64(time.Millisecond) }

// Fills in what follows from how long each operation took and from the readings around them.
func (done *result) tell(took []time.Duration, before, after reading) {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	done.Operations = int64(len(took))
	done.Seconds = after.at.Sub(before.at).Seconds()
	if done.Seconds > 0 {
		done.PerSecond = float64(done.Operations) / done.Seconds
	}
	done.P50 = milliseconds(quantile(took, 0.5))
	done.P99 = milliseconds(quantile(took, 0.99))
	done.Largest = milliseconds(quantile(took, 1))
	done.cost = costOf(before, after, done.Operations)
}
