package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// What to do. Fields that a kind does not speak of are not looked at by it.
type job struct {
	Kind      string   `json:"kind"`
	Endpoints []string `json:"endpoints"` // host:port of every member that takes load
	Pids      []int    `json:"pids"`      // of the servers, whose CPU and memory are to be told

	Clients     int `json:"clients"`     // that each have one operation under way
	Connections int `json:"connections"` // that they share, spread over the endpoints; 0: one each

	WarmUpSeconds float64 `json:"warm_up_seconds"` // of load that is not measured
	Seconds       float64 `json:"seconds"`         // of load that is; 0: until Operations are done
	Operations    int64   `json:"operations"`      // at most; 0: no bound. watch: puts
	LimitSeconds  float64 `json:"limit_seconds"`   // after which the process ends in any case

	Keys       int64 `json:"keys"`        // that puts and reads choose from
	ValueBytes int   `json:"value_bytes"` // of incompressible values
	PageKeys   int64 `json:"page_keys"`   // range, open-range: keys of an answer

	Watchers int  `json:"watchers"`
	OwnKeys  bool `json:"own_keys"` // each watcher has a key to itself; puts go round the keys

	Leases     int   `json:"leases"`      // keep-alive: granted before
	TTLSeconds int64 `json:"ttl_seconds"` // of leases

	QuietSeconds float64 `json:"quiet_seconds"` // gaps: before the action
	AfterSeconds float64 `json:"after_seconds"` // gaps: after it
	Action       string  `json:"action"`        // gaps: wait, kill, snapshot, compact, defragment
	KillPid      int     `json:"kill_pid"`
	File         string  `json:"file"`  // snapshot: where it is saved, and then removed
	Probe        string  `json:"probe"` // first: put or get
}

func readJob(input io.Reader) (*job, error) {
	work := &job{
		Clients: 1, LimitSeconds: 600, Keys: 10000, ValueBytes: 256, PageKeys: 1000, Watchers: 100,
		Leases: 10000, TTLSeconds: 3600, Probe: "put",
	}
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(work); err != nil {
		return nil, fmt.Errorf("no job: %v", err)
	}
	return work, work.check()
}

func (work *job) check() error {
	switch {
	case len(work.Endpoints) == 0:
		return errors.New("a job names endpoints")
	case work.Clients < 1 || work.Keys < 1 || work.Watchers < 1 || work.Leases < 1:
		return errors.New("clients, keys, watchers and leases are at least 1")
	case work.ValueBytes < 0 || work.Connections < 0 || work.Operations < 0:
		return errors.New("value_bytes, connections and operations are not negative")
	}
	if work.Connections == 0 || work.Connections > work.Clients && work.Kind != "watch" {
		work.Connections = work.Clients
	}
	return nil
}

func seconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Second))
}
