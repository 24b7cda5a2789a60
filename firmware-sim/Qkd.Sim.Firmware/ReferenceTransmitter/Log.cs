using Microsoft.Extensions.Logging;

namespace Qkd.Sim.Firmware.ReferenceTransmitter;

/// <summary>What the emulated reference transmitter logs.</summary>
internal static partial class Log
{
    [LoggerMessage(3501, LogLevel.Information, "Emulated transmitter {Name}: fault {Fault}")]
    public static partial void TransmitterFault(ILogger logger, string name, InstrumentFault fault);

    [LoggerMessage(3502, LogLevel.Information, "Emulated transmitter {Name}: a second host was turned away")]
    public static partial void TransmitterInUse(ILogger logger, string name);
}
