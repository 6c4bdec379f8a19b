package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Does one thing; `turn` is a number that no other call of any worker is given.
type operation func(turn int64) error

// When an operation ended, from the beginning of the loop, and how long it took.
type sample struct{ end, took time.Duration }

// The errors of all workers.
type failures struct {
	mutex sync.Mutex
	count int64
	first string
}

func (failed *failures) add(err error) {
	failed.mutex.Lock()
	defer failed.mutex.Unlock()
	failed.count++
	if failed.first == "" {
		failed.first = err.Error()
	}
}

// Workers that each begin an operation when the last one has ended.
type loop struct {
	work    *job
	began   time.Time
	turns   int64
	stopped int32
	failed  failures
	samples [][]sample // by worker
}

// A closed loop of clients. Operations count if they end within the measured time, errors always.
func runLoop(work *job) (*result, error) {
	if work.Kind == "fill" && work.Operations == 0 {
		work.Operations = work.Keys
	}
	if work.Seconds == 0 && work.Operations == 0 {
		return nil, fmt.Errorf("neither seconds nor operations are bounded")
	}
	clients, err := connect(work.Endpoints, work.Connections)
	if err != nil {
		return nil, err
	}
	defer disconnect(clients)
	operations, cleanUp, err := operationsOf(work, clients)
	if err != nil {
		return nil, err
	}
	running := &loop{work: work, began: time.Now(), samples: make([][]sample, len(operations))}
	before, after := running.measure(operations)
	done := &result{Errors: running.failed.count, FirstError: running.failed.first}
	done.tell(running.within(before.at, after.at), before, after)
	return done, cleanUp()
}

func (running *loop) measure(operations []operation) (before, after reading) {
	var workers sync.WaitGroup
	for i := range operations {
		workers.Add(1)
		go func(i int) {
			defer workers.Done()
			running.samples[i] = running.repeat(operations[i])
		}(i)
	}
	ended := make(chan struct{})
	go func() {
		workers.Wait()
		close(ended)
	}()
	if running.work.WarmUpSeconds > 0 {
		time.Sleep(seconds(running.work.WarmUpSeconds))
	}
	before = readMachine(running.work.Pids)
	if running.work.WarmUpSeconds == 0 {
		before.at = running.began
	}
	var enough <-chan time.Time
	if running.work.Seconds > 0 {
		enough = time.After(seconds(running.work.Seconds))
	}
	select {
	case <-ended:
	case <-enough:
	}
	after = readMachine(running.work.Pids)
	atomic.StoreInt32(&running.stopped, 1)
	<-ended
	return before, after
}

func (running *loop) repeat(operate operation) []sample {
	var samples []sample
	for atomic.LoadInt32(&running.stopped) == 0 {
		turn := atomic.AddInt64(&running.turns, 1) - 1
		if running.work.Operations > 0 && turn >= running.work.Operations {
			break
		}
		begin := time.Now()
		err := operate(turn)
		end := time.Now()
		if err != nil {
			running.failed.add(err)
			continue
		}
		samples = append(samples, sample{end: end.Sub(running.began), took: end.Sub(begin)})
	}
	return samples
}

func (running *loop) within(from, to time.Time) []time.Duration {
	var took []time.Duration
	for _, samples := range running.samples {
		for _, one := range samples {
			if end := running.began.Add(one.end); !end.Before(from) && !end.After(to) {
				took = append(took, one.took)
			}
		}
	}
	return took
}
