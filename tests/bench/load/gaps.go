package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/etcdserverpb"
)

const (
	probeInterval  = 5 * time.Millisecond
	probesUnderWay = 4000 // at most; more would only measure themselves
	recoverWithin  = 30 * time.Second
)

// The longest times in ms without a successful put, and when the action began and ended.
type gaps struct {
	Before        float64 `json:"before_ms"`
	During        float64 `json:"during_ms"` // also those that only end or begin in it
	After         float64 `json:"after_ms"`
	ActionSeconds float64 `json:"action_seconds"`
	Recovered     bool    `json:"recovered"`   // kill
	RecoveryMs    float64 `json:"recovery_ms"` // kill: to the first success of a put begun after it
}

// Puts that are sent every few milliseconds through each endpoint, whatever became of the others.
type probes struct {
	began  time.Time
	cancel context.CancelFunc
	sent   context.Context
	slots  chan struct{}
	all    sync.WaitGroup

	mutex   sync.Mutex
	done    []probe // successful ones
	failed  int64
	first   string
	stopped bool
}

type probe struct{ begin, end time.Duration }

func (sending *probes) now() time.Duration { return time.Since(sending.began) }

func startProbes(clients []*clientv3.Client, valueBytes int) *probes {
	sending := &probes{began: time.Now(), slots: make(chan struct{}, probesUnderWay)}
	sending.sent, sending.cancel = context.WithCancel(context.Background())
	for i, client := range clients {
		sending.all.Add(1)
		go sending.send(i, etcdserverpb.NewKVClient(client.ActiveConnection()), valueBytes)
	}
	return sending
}

func (sending *probes) send(number int, kv etcdserverpb.KVClient, valueBytes int) {
	defer sending.all.Done()
	random := randomOf(number)
	ticks := time.NewTicker(probeInterval)
	defer ticks.Stop()
	for turn := 0; ; turn++ {
		<-ticks.C
		sending.mutex.Lock()
		stopped := sending.stopped
		sending.mutex.Unlock()
		if stopped {
			return
		}
		select {
		case sending.slots <- struct{}{}:
		default:
			continue
		}
		sending.all.Add(1)
		go sending.one(kv, &etcdserverpb.PutRequest{
			Key:   []byte(fmt.Sprintf("probe/%d/%02d", number, turn%100)),
			Value: []byte(valueOf(random, valueBytes)),
		})
	}
}

func (sending *probes) one(kv etcdserverpb.KVClient, request *etcdserverpb.PutRequest) {
	defer sending.all.Done()
	bound, cancel := context.WithTimeout(sending.sent, patience)
	defer cancel()
	begin := sending.now()
	_, err := kv.Put(bound, request)
	end := sending.now()
	<-sending.slots
	sending.mutex.Lock()
	defer sending.mutex.Unlock()
	switch {
	case err == nil:
		sending.done = append(sending.done, probe{begin, end})
	case sending.sent.Err() == nil: // else it was given up by us
		sending.failed++
		if sending.first == "" {
			sending.first = err.Error()
		}
	}
}

// The end of the first success among puts begun after `moment`; 0: none yet.
func (sending *probes) firstBegunAfter(moment time.Duration) time.Duration {
	sending.mutex.Lock()
	defer sending.mutex.Unlock()
	var first time.Duration
	for _, one := range sending.done {
		if one.begin > moment && (first == 0 || one.end < first) {
			first = one.end
		}
	}
	return first
}

func (sending *probes) stop() {
	sending.mutex.Lock()
	sending.stopped = true
	sending.mutex.Unlock()
	sending.all.Wait()
	sending.cancel()
}

func runGaps(work *job) (*result, error) {
	clients, err := connect(work.Endpoints, len(work.Endpoints))
	if err != nil {
		return nil, err
	}
	defer disconnect(clients)
	before := readMachine(work.Pids)
	sending := startProbes(clients, work.ValueBytes)
	time.Sleep(seconds(work.QuietSeconds))
	found := &gaps{}
	from := sending.now()
	var failed error // of the action
	if work.Action == "kill" {
		err = sending.kill(work.KillPid, found)
		sending.cancel() // What went to the dead leader would be waited for.
	} else {
		failed = act(work)
	}
	to := sending.now()
	found.ActionSeconds = (to - from).Seconds()
	if work.Action != "kill" {
		time.Sleep(seconds(work.AfterSeconds))
	}
	sending.stop()
	if err != nil {
		return nil, err
	}
	found.longest(sending.done, from, to)
	done := &result{Gaps: found, Errors: sending.failed, FirstError: sending.first}
	if failed != nil {
		done.Errors++
		done.FirstError = failed.Error()
	}
	took := make([]time.Duration, len(sending.done))
	for i, one := range sending.done {
		took[i] = one.end - one.begin
	}
	done.tell(took, before, readMachine(work.Pids))
	return done, nil
}

func (found *gaps) longest(done []probe, from, to time.Duration) {
	sort.Slice(done, func(i, j int) bool { return done[i].end < done[j].end })
	for i := 1; i < len(done); i++ {
		gap := milliseconds(done[i].end - done[i-1].end)
		longest := &found.During
		if done[i].end <= from {
			longest = &found.Before
		} else if done[i-1].end > to {
			longest = &found.After
		}
		if gap > *longest {
			*longest = gap
		}
	}
}

func (sending *probes) kill(pid int, found *gaps) error {
	killed := sending.now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill %d: %v", pid, err)
	}
	for alive(pid) {
		time.Sleep(100 * time.Microsecond)
	}
	gone := sending.now()
	for sending.now()-gone < recoverWithin {
		if first := sending.firstBegunAfter(gone); first > 0 {
			found.Recovered, found.RecoveryMs = true, milliseconds(first-killed)
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// A killed process that its parent has not asked about yet is a zombie, and serves no one.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// Does the action in a process of its own, so that what it costs a client delays no probe.
func act(work *job) error {
	if work.Action == "wait" {
		time.Sleep(seconds(work.Seconds))
		return nil
	}
	line, err := json.Marshal(job{
		Kind: "maintenance", Endpoints: work.Endpoints, Action: work.Action, File: work.File,
		Clients: 1, Keys: 1, Watchers: 1, Leases: 1, LimitSeconds: work.LimitSeconds,
	})
	if err != nil {
		return err
	}
	child := exec.Command(os.Args[0])
	child.Stdin = bytes.NewReader(line)
	if said, err := child.CombinedOutput(); err != nil {
		lines := bytes.Split(bytes.TrimSpace(said), []byte("\n")) // The last says why.
		return fmt.Errorf("%s", lines[len(lines)-1])
	}
	return nil
}
