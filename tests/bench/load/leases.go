package main

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/etcdserverpb"
)

const workersOfPreparation = 64

// Calls `do` with each number below `count`, several at once. Returns the first error.
func each(count int, do func(number int) error) error {
	numbers := make(chan int, count)
	for i := 0; i < count; i++ {
		numbers <- i
	}
	close(numbers)
	var failed failures
	var workers sync.WaitGroup
	for i := 0; i < workersOfPreparation; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				if err := do(number); err != nil {
					failed.add(err)
				}
			}
		}()
	}
	workers.Wait()
	if failed.count > 0 {
		return fmt.Errorf("%d of %d failed: %s", failed.count, count, failed.first)
	}
	return nil
}

func grant(work *job, client *clientv3.Client) (clientv3.LeaseID, error) {
	bound, cancel := bounded()
	defer cancel()
	granted, err := client.Grant(bound, work.TTLSeconds)
	if err != nil {
		return 0, err
	}
	return granted.ID, nil
}

// Leases that stay would end in the middle of a later job.
func revokeAll(clients []*clientv3.Client, leases []clientv3.LeaseID) error {
	return each(len(leases), func(i int) error {
		bound, cancel := bounded()
		defer cancel()
		_, err := clients[i%len(clients)].Revoke(bound, leases[i])
		return err
	})
}

func grants(work *job, clients []*clientv3.Client) ([]operation, func() error, error) {
	granted := make([][]clientv3.LeaseID, work.Clients)
	operations := make([]operation, work.Clients)
	for i := range operations {
		i := i
		client := clients[i%len(clients)]
		operations[i] = func(int64) error {
			lease, err := grant(work, client)
			if err == nil {
				granted[i] = append(granted[i], lease)
			}
			return err
		}
	}
	return operations, func() error {
		var all []clientv3.LeaseID
		for _, some := range granted {
			all = append(all, some...)
		}
		return revokeAll(clients, all)
	}, nil
}

// Every client renews its share of the leases in turn, on a stream of its own. clientv3's KeepAlive
// would pace itself by the TTL, its KeepAliveOnce open a stream each time: this is its stub.
func keepAlives(work *job, clients []*clientv3.Client) ([]operation, func() error, error) {
	leases := make([]clientv3.LeaseID, work.Leases)
	err := each(len(leases), func(i int) (err error) {
		leases[i], err = grant(work, clients[i%len(clients)])
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	streams, cancel := context.WithCancel(context.Background())
	operations := make([]operation, work.Clients)
	for i := range operations {
		connection := clients[i%len(clients)].ActiveConnection()
		stream, err := etcdserverpb.NewLeaseClient(connection).LeaseKeepAlive(streams)
		if err != nil {
			cancel()
			return nil, nil, err
		}
		operations[i] = renewals(stream, leases, i, work.Clients)
	}
	return operations, func() error {
		cancel()
		return revokeAll(clients, leases)
	}, nil
}

// Renews each `step`th of the leases, from the one of number `next` on, and then the first again.
func renewals(stream etcdserverpb.Lease_LeaseKeepAliveClient, leases []clientv3.LeaseID,
	next, step int) operation {
	return func(int64) error {
		lease := int64(leases[next%len(leases)])
		next += step
		if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: lease}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		if answer.ID != lease || answer.TTL <= 0 {
			return fmt.Errorf("lease %x was answered as %x with %d s left", lease, answer.ID, answer.TTL)
		}
		return nil
	}
}
