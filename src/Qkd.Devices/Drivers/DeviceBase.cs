namespace Qkd.Devices.Drivers;

/// <summary>
/// What every driver's device has in common: its name and clock, its parameters, its events, time-limited exchanges, and one
/// place where a broken connection is noted and told.
/// </summary>
/// <remarks>
/// A driver runs everything that waits for the instrument through <see cref="ExchangeAsync{T}"/> (one at a time, for protocols
/// whose answers come in order) or <see cref="WithinAsync{T}"/> (several at once, for protocols that say what an answer answers).
/// </remarks>
public abstract class DeviceBase : IDevice
{
    private readonly List<IDeviceParameter> _parameters = [];
    private readonly DeviceEventSource _events = new();
    private readonly SemaphoreSlim _exchange = new(1, 1);
    private string? _broken;
    private int _disposed;

    /// <summary>Takes name, address and clock from the request.</summary>
    protected DeviceBase(DeviceOpenRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        (Name, Address, Time, LeaveAsFound) = (request.Name, request.Address, request.Time, request.LeaveAsFound);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public DeviceAddress Address { get; }

    /// <inheritdoc/>
    public DeviceIdentity Identity { get; protected set; } = new("", "", "", "");

    /// <inheritdoc/>
    public IReadOnlyList<IDeviceParameter> Parameters => _parameters;

    /// <inheritdoc/>
    public IObservable<DeviceEvent> Events => _events;

    /// <summary>Clock for time stamps, time-outs and waits.</summary>
    public TimeProvider Time { get; }

    /// <summary>Whether <see cref="ReleaseAsync"/> must leave the instrument as it is: see <see cref="DeviceOpenRequest.LeaveAsFound"/>.</summary>
    protected bool LeaveAsFound { get; }

    /// <summary>Whether an I/O fault has ended the connection; every further call throws <see cref="DeviceDisconnectedException"/>.</summary>
    public bool IsBroken => Volatile.Read(ref _broken) is not null;

    /// <summary>Whether <see cref="DisposeAsync"/> has been called.</summary>
    protected bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <inheritdoc/>
    public virtual async ValueTask<DeviceSnapshot> SnapshotAsync(CancellationToken cancellationToken)
    {
        var entries = new List<SnapshotEntry>(_parameters.Count);
        foreach (var parameter in _parameters)
        {
            var reading = await parameter.GetAsync(cancellationToken).ConfigureAwait(false);
            entries.Add(new(parameter.Name, parameter.Unit, reading.Value, parameter.Minimum, parameter.Maximum, reading.Time));
        }

        return new(Name, Identity, Time.GetUtcNow(), entries);
    }

    /// <summary>Brings the instrument to its safe state, closes the connection and completes <see cref="Events"/>. Never throws; a second call does nothing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            GC.SuppressFinalize(this);
            try
            {
                await ReleaseAsync().ConfigureAwait(false);
            }
            catch (Exception problem) when (problem is DeviceException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The wire is gone or the instrument does not answer: nobody is left who could act on it but those who watch the events.
                Publish(DeviceEventKind.Warning, $"not left in its safe state for certain: {problem.Message}");
            }

            _events.Complete();
        }
    }

    /// <summary>
    /// Throws <see cref="SettingOutOfRangeException"/> for a value outside closed limits (a null limit is none), and for what is not a number.
    /// </summary>
    public void RequireRange(string setting, double value, double? minimum, double? maximum, string unit)
    {
        var (low, high) = (minimum ?? double.NegativeInfinity, maximum ?? double.PositiveInfinity);
        if (!(value >= low && value <= high))
        {
            throw new SettingOutOfRangeException(Name, Address.Text, setting, value, low, high, unit);
        }
    }

    /// <summary>
    /// The safe state, unless <see cref="LeaveAsFound"/>, then the end of the connection. Called once, before <see cref="Events"/> completes; exchanges are still
    /// allowed but must be time-limited, and skipped where <see cref="IsBroken"/>.
    /// </summary>
    protected abstract ValueTask ReleaseAsync();

    /// <summary>Adds a parameter; only while the device is being opened.</summary>
    /// <param name="name">Name in snake_case without a unit.</param>
    /// <param name="unit">Unit symbol.</param>
    /// <param name="get">Reads it from the instrument.</param>
    /// <param name="set">Sets it, after the limits have been checked; null where it can only be read.</param>
    /// <param name="minimum">Lower limit.</param>
    /// <param name="maximum">Upper limit.</param>
    protected DeviceParameter<T> AddParameter<T>(
        string name,
        string unit,
        Func<CancellationToken, ValueTask<T>> get,
        Func<T, CancellationToken, ValueTask>? set = null,
        double? minimum = null,
        double? maximum = null)
        where T : notnull
    {
        var parameter = new DeviceParameter<T>(this, name, unit, get, set, minimum, maximum);
        _parameters.Add(parameter);
        return parameter;
    }

    /// <summary>Publishes an event with this device's name and the present time.</summary>
    protected void Publish(DeviceEventKind kind, string detail) => _events.Publish(new(Name, kind, detail, Time.GetUtcNow()));

    /// <summary>Notes that the connection is lost and publishes <see cref="DeviceEventKind.Disconnected"/>, once. Silent while disposing.</summary>
    protected void MarkBroken(string problem)
    {
        if (Interlocked.CompareExchange(ref _broken, problem, null) is null && !IsDisposed)
        {
            Publish(DeviceEventKind.Disconnected, problem);
        }
    }

    /// <summary>Throws if the device is disposed of or its connection broken.</summary>
    /// <exception cref="ObjectDisposedException">Disposed.</exception>
    /// <exception cref="DeviceDisconnectedException">Broken.</exception>
    protected void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (Volatile.Read(ref _broken) is { } problem)
        {
            throw new DeviceDisconnectedException(Name, Address.Text, problem);
        }
    }

    /// <summary>
    /// Runs an exchange under a time limit, alone: others wait for their turn, which does not count towards the limit.
    /// </summary>
    /// <inheritdoc cref="WithinAsync{T}"/>
    protected async ValueTask<T> ExchangeAsync<T>(
        string request, TimeSpan limit, Func<CancellationToken, ValueTask<T>> exchange, CancellationToken cancellationToken)
    {
        await _exchange.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await WithinAsync(request, limit, exchange, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _exchange.Release();
        }
    }

    /// <summary>Runs an exchange under a time limit.</summary>
    /// <param name="request">What is asked, for the error message.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="exchange">The exchange; it must stop when its token is cancelled.</param>
    /// <param name="cancellationToken">The caller's token.</param>
    /// <exception cref="DeviceTimeoutException">Not done within <paramref name="limit"/>.</exception>
    /// <exception cref="DeviceDisconnectedException">The connection was or is lost; noted and told.</exception>
    protected async ValueTask<T> WithinAsync<T>(
        string request, TimeSpan limit, Func<CancellationToken, ValueTask<T>> exchange, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(exchange);
        if (Volatile.Read(ref _broken) is { } problem)
        {
            throw new DeviceDisconnectedException(Name, Address.Text, problem);
        }

        using var timer = new CancellationTokenSource(limit, Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await exchange(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException late) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new DeviceTimeoutException(Name, Address.Text, request, limit, late);
        }
        catch (DeviceDisconnectedException lost)
        {
            MarkBroken(lost.Problem);
            throw;
        }
    }
}
