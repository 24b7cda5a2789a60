namespace Qkd.Devices;

/// <summary>
/// Opens one kind of instrument. Each vendor's project registers its drivers as <see cref="IDeviceDriver"/> services;
/// the node finds them by <see cref="Id"/> and names none.
/// </summary>
public interface IDeviceDriver
{
    /// <summary>Stable id used in the configuration: vendor, dot, model family in kebab-case, e.g. <c>thorlabs.mpc320</c>.</summary>
    string Id { get; }

    /// <summary>One line for people: vendor, models and what they are.</summary>
    string Description { get; }

    /// <summary>The role interfaces that an opened device implements, e.g. <see cref="ITimeTagger"/>.</summary>
    IReadOnlyList<Type> Roles { get; }

    /// <summary>Forms of address that this driver takes, with an example of each, for error messages and help.</summary>
    IReadOnlyList<string> AddressExamples { get; }

    /// <summary>
    /// Connects, identifies the instrument, reads its state and limits. Switches nothing on and moves nothing.
    /// </summary>
    /// <exception cref="DeviceException">No connection, no answer, or another instrument answered.</exception>
    /// <exception cref="FormatException">The address or an option is not of a form that this driver takes; the message names it.</exception>
    ValueTask<IDevice> OpenAsync(DeviceOpenRequest request, CancellationToken cancellationToken);
}

/// <summary>What a driver needs to open an instrument.</summary>
public sealed record DeviceOpenRequest
{
    /// <summary>Name of the device in the configuration.</summary>
    public required string Name { get; init; }

    /// <summary>The instrument's address. Never a <c>sim:</c> name: those are resolved before the driver sees them.</summary>
    public required DeviceAddress Address { get; init; }

    /// <summary>
    /// Driver-specific options by path, e.g. <c>Endpoints:Counts</c> → an address, <c>SerialNumber</c> → the serial number
    /// that must answer. Keys are compared without regard to case. A key that the driver does not know is an error.
    /// </summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Clock for time stamps, time-outs and waits.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// Only to look: on dispose the instrument is left as it was found, where otherwise it would be brought to its safe state. For tools that
    /// ask an instrument which something else is using.
    /// </summary>
    public bool LeaveAsFound { get; init; }

    /// <summary>Where the traffic on the wire is recorded; null for nowhere.</summary>
    public IWireTranscript? Transcript { get; init; }
}

/// <summary>Takes a record of everything that passes on a device's wire. Implementations are thread-safe.</summary>
public interface IWireTranscript
{
    /// <summary>Records bytes as they were handed to (<paramref name="sent"/> true) or read from the wire.</summary>
    /// <param name="channel">Which of the device's connections: <c>control</c>, <c>counts</c>, …</param>
    /// <param name="sent">True for host to instrument.</param>
    /// <param name="data">The bytes.</param>
    void Record(string channel, bool sent, ReadOnlySpan<byte> data);
}
