package main

import (
	"testing"
	"time"
)

// The nearest rank: no value is made up between two measured ones.
func TestQuantileIsAMeasuredValue(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, want := range []struct {
		share float64
		value time.Duration
	}{{0, 1}, {0.5, 50}, {0.99, 99}, {1, 100}} {
		if got := quantile(hundred, want.share); got != want.value {
			t.Errorf("quantile %g is %d, not %d", want.share, got, want.value)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("nothing has a quantile")
	}
}

// A gap counts as the action's if any part of it lies within the action.
func TestGapsAreToldApart(t *testing.T) {
	ends := []time.Duration{0, 7, 10, 40, 45, 60, 63}
	done := make([]probe, len(ends))
	for i, end := range ends {
		done[i] = probe{end: end * time.Millisecond}
	}
	var found gaps
	found.longest(done, 20*time.Millisecond, 42*time.Millisecond)
	if found.Before != 7 || found.During != 30 || found.After != 15 {
		t.Errorf("got %+v", found)
	}
}

func TestJobsAreChecked(t *testing.T) {
	if err := (&job{Clients: 1, Keys: 1, Watchers: 1, Leases: 1}).check(); err == nil {
		t.Error("a job without endpoints was taken")
	}
}
