package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/etcdserverpb"
)

const patience = 60 * time.Second // for all watchers, and for the last event

// Watchers on as many streams as there are connections. They are counted off by the stub of etcd's
// client: its library spends more on handing an event on than a server on sending it, and the cores
// are shared.
type fanOut struct {
	work     *job
	began    time.Time
	expected int64 // events
	created  int64
	arrived  int64
	ready    chan struct{} // closed when all are created
	complete chan struct{} // closed when all events have arrived
	took     [][]time.Duration
	failed   failures

	receivers sync.WaitGroup
	cancel    context.CancelFunc // ends the streams
}

func (fan *fanOut) key(number int64) string {
	if fan.work.OwnKeys {
		return fmt.Sprintf("watched/%07d", number%int64(fan.work.Watchers))
	}
	return "watched"
}

// Puts values that hold the time of their sending; each watcher tells how old they arrive. What is
// counted, and what CPU is spread over, are events.
func runWatch(work *job) (*result, error) {
	if work.Operations == 0 || work.ValueBytes < 8 {
		return nil, fmt.Errorf("watch takes a number of operations, and values of 8 bytes at least")
	}
	streams := work.Connections
	if streams > work.Watchers {
		streams = work.Watchers
	}
	clients, err := connect(work.Endpoints, streams)
	if err != nil {
		return nil, err
	}
	defer disconnect(clients)
	putters, err := connect(work.Endpoints, work.Clients)
	if err != nil {
		return nil, err
	}
	defer disconnect(putters)
	fan := &fanOut{
		work: work, began: time.Now(), expected: work.Operations,
		ready: make(chan struct{}), complete: make(chan struct{}),
		took: make([][]time.Duration, streams),
	}
	if !work.OwnKeys {
		fan.expected *= int64(work.Watchers)
	}
	watching, cancel := context.WithCancel(context.Background())
	defer cancel()
	fan.cancel = cancel
	if err := fan.watch(watching, clients); err != nil {
		return nil, err
	}
	return fan.measure(putters), nil
}

func (fan *fanOut) watch(watching context.Context, clients []*clientv3.Client) error {
	for i, client := range clients {
		stream, err := etcdserverpb.NewWatchClient(client.ActiveConnection()).Watch(watching)
		if err != nil {
			return err
		}
		fan.receivers.Add(1)
		go fan.create(stream, i, len(clients))
		go fan.receive(stream, i)
	}
	select {
	case <-fan.ready:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%d of %d watchers were created", atomic.LoadInt64(&fan.created),
			fan.work.Watchers)
	}
}

func (fan *fanOut) create(stream etcdserverpb.Watch_WatchClient, first, step int) {
	for number := first; number < fan.work.Watchers; number += step {
		request := &etcdserverpb.WatchCreateRequest{Key: []byte(fan.key(int64(number)))}
		err := stream.Send(&etcdserverpb.WatchRequest{
			RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{CreateRequest: request}})
		if err != nil {
			fan.failed.add(err)
			return
		}
	}
}

func (fan *fanOut) receive(stream etcdserverpb.Watch_WatchClient, number int) {
	defer fan.receivers.Done()
	for {
		message, err := stream.Recv()
		if err != nil {
			return // Events that do not arrive for it are counted as missing.
		}
		now := time.Since(fan.began)
		if message.Created {
			if atomic.AddInt64(&fan.created, 1) == int64(fan.work.Watchers) {
				close(fan.ready)
			}
			continue
		}
		for _, event := range message.Events {
			sent := time.Duration(binary.BigEndian.Uint64(event.Kv.Value))
			fan.took[number] = append(fan.took[number], now-sent)
			if atomic.AddInt64(&fan.arrived, 1) == fan.expected {
				close(fan.complete)
			}
		}
	}
}

func (fan *fanOut) measure(putters []*clientv3.Client) *result {
	before := readMachine(fan.work.Pids)
	fan.put(putters)
	select {
	case <-fan.complete:
	case <-time.After(patience):
	}
	after := readMachine(fan.work.Pids)
	fan.cancel()
	fan.receivers.Wait()
	if missing := fan.expected - atomic.LoadInt64(&fan.arrived); missing != 0 {
		fan.failed.add(fmt.Errorf("%d of %d events did not arrive", missing, fan.expected))
	}
	done := &result{Errors: fan.failed.count, FirstError: fan.failed.first}
	var took []time.Duration
	for _, some := range fan.took {
		took = append(took, some...)
	}
	done.tell(took, before, after)
	return done
}

func (fan *fanOut) put(putters []*clientv3.Client) {
	var turns int64
	var workers sync.WaitGroup
	for i, client := range putters {
		workers.Add(1)
		go func(i int, client *clientv3.Client) {
			defer workers.Done()
			random := randomOf(i)
			for {
				turn := atomic.AddInt64(&turns, 1) - 1
				if turn >= fan.work.Operations {
					return
				}
				value := []byte(valueOf(random, fan.work.ValueBytes))
				binary.BigEndian.PutUint64(value, uint64(time.Since(fan.began)))
				if err := put(client, fan.key(turn), string(value)); err != nil {
					fan.failed.add(err)
				}
			}
		}(i, client)
	}
	workers.Wait()
}
