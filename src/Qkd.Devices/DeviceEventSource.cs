namespace Qkd.Devices;

/// <summary>The event stream of a driver: thread-safe, in order of publication, subscribers may come and go at any time.</summary>
public sealed class DeviceEventSource : IObservable<DeviceEvent>
{
    private readonly Lock _gate = new();
    private readonly List<IObserver<DeviceEvent>> _observers = [];
    private bool _completed;

    /// <summary>Publishes an event to all present subscribers. Ignored once completed.</summary>
    public void Publish(DeviceEvent deviceEvent)
    {
        foreach (var observer in Present())
        {
            observer.OnNext(deviceEvent);
        }
    }

    /// <summary>Completes the stream; the device has been disposed.</summary>
    public void Complete()
    {
        var present = Present();
        lock (_gate)
        {
            if (_completed)
            {
                return;
            }

            _completed = true;
            _observers.Clear();
        }

        foreach (var observer in present)
        {
            observer.OnCompleted();
        }
    }

    /// <inheritdoc/>
    public IDisposable Subscribe(IObserver<DeviceEvent> observer)
    {
        ArgumentNullException.ThrowIfNull(observer);
        lock (_gate)
        {
            if (!_completed)
            {
                _observers.Add(observer);
                return new Subscription(this, observer);
            }
        }

        observer.OnCompleted();
        return new Subscription(this, observer);
    }

    private IObserver<DeviceEvent>[] Present()
    {
        lock (_gate)
        {
            return [.. _observers];
        }
    }

    private sealed class Subscription(DeviceEventSource source, IObserver<DeviceEvent> observer) : IDisposable
    {
        public void Dispose()
        {
            lock (source._gate)
            {
                source._observers.Remove(observer);
            }
        }
    }
}

/// <summary>Subscribes a plain delegate to a device's events.</summary>
public static class DeviceEventExtensions
{
    /// <summary>Calls <paramref name="handler"/> for each event until the returned subscription is disposed.</summary>
    public static IDisposable Subscribe(this IObservable<DeviceEvent> events, Action<DeviceEvent> handler)
    {
        ArgumentNullException.ThrowIfNull(events);
        return events.Subscribe(new DelegateObserver(handler));
    }

    private sealed class DelegateObserver(Action<DeviceEvent> handler) : IObserver<DeviceEvent>
    {
        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }

        public void OnNext(DeviceEvent value) => handler(value);
    }
}
