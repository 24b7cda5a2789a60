using Microsoft.Extensions.Logging;
using Qkd.Distillation;

namespace Qkd.Keys;

/// <summary>Every message that this project logs. Ids of blocks and SAEs, never a bit of key.</summary>
internal static partial class Log
{
    [LoggerMessage(EventId = 3001, Level = LogLevel.Debug, Message = "Block {BlockId} stored: {Bits} bits, {Grade}")]
    public static partial void BlockStored(ILogger logger, long blockId, int bits, KeyGrade grade);

    [LoggerMessage(EventId = 3002, Level = LogLevel.Warning, Message = "Block {BlockId} was not stored: {Reason}")]
    public static partial void BlockNotStored(ILogger logger, long blockId, string reason);

    [LoggerMessage(EventId = 3003, Level = LogLevel.Debug, Message = "Block {BlockId} is held by the peer too")]
    public static partial void BlockConfirmed(ILogger logger, long blockId);

    [LoggerMessage(EventId = 3004, Level = LogLevel.Information, Message = "Block {BlockId} is void: the two sides do not both hold it")]
    public static partial void BlockVoided(ILogger logger, long blockId);

    [LoggerMessage(EventId = 3010, Level = LogLevel.Information, Message = "{Count} keys of {Bits} bits delivered to {MasterSaeId}, to be shared with {SlaveSaeId}")]
    public static partial void KeysDelivered(ILogger logger, int count, int bits, string masterSaeId, string slaveSaeId);

    [LoggerMessage(EventId = 3011, Level = LogLevel.Information, Message = "{Count} keys delivered by id to {SlaveSaeId}, shared with {MasterSaeId}")]
    public static partial void KeysCollected(ILogger logger, int count, string slaveSaeId, string masterSaeId);

    [LoggerMessage(EventId = 3020, Level = LogLevel.Warning, Message = "Nothing can be settled now: {Problem}")]
    public static partial void PeerUnreachable(ILogger logger, string problem);

    [LoggerMessage(EventId = 3021, Level = LogLevel.Debug, Message = "Asking the peer's key store again: {Problem}")]
    public static partial void AskingAgain(ILogger logger, string problem);

    [LoggerMessage(EventId = 3030, Level = LogLevel.Warning, Message = "The distilled authentication key {Path} was damaged and is erased")]
    public static partial void SegmentDamaged(ILogger logger, string path);

    [LoggerMessage(EventId = 3022, Level = LogLevel.Warning, Message = "A question of the peer's key store was not understood: {Problem}")]
    public static partial void PeerNotUnderstood(ILogger logger, string problem);
}
